/** The Gaussian kernel that this engine can run: SIMD where it may, else plain, with the same bits. */

import type { Wasm } from "../../wasm.ts";
import { openWasm, wasmHere } from "../../wasm.ts";
import { KERNEL_BASE64 } from "./gaussian-wasm.ts";
import type { GaussianKernel } from "./gaussian.ts";
import { BATCH, BYTES_PER_SAMPLE, createPlainKernel } from "./gaussian.ts";

interface KernelExports {
  readonly memory: WebAssembly.Memory;
  readonly addGaussian: (samples: number, scale: number) => number;
}

export function openKernel(): GaussianKernel {
  return openSimdKernel() ?? createPlainKernel();
}

/** undefined where WebAssembly or its SIMD is missing, or may not be compiled here. */
export function openSimdKernel(wasm: Wasm = wasmHere()): GaussianKernel | undefined {
  const exports = openWasm(KERNEL_BASE64, wasm) as KernelExports | undefined;
  if (exports === undefined) return undefined;
  const { buffer } = exports.memory;
  return {
    name: "simd",
    random: new Uint8Array(buffer, 0, BATCH * BYTES_PER_SAMPLE),
    sums: new Float64Array(buffer, BATCH * BYTES_PER_SAMPLE, BATCH),
    add: (samples, stddev) => exports.addGaussian(samples, -2 * stddev * stddev) === 1,
  };
}
