/** The Gaussian kernel that this engine can run: SIMD where it may, else plain, with the same bits. */

import { KERNEL_BASE64 } from "./gaussian-wasm.ts";
import type { GaussianKernel } from "./gaussian.ts";
import { BATCH, BYTES_PER_SAMPLE, createPlainKernel } from "./gaussian.ts";

interface KernelExports {
  readonly memory: WebAssembly.Memory;
  readonly addGaussian: (samples: number, scale: number) => number;
}

/** What is needed of an engine's WebAssembly; not every engine has it. */
export type Wasm = Partial<Pick<typeof WebAssembly, "validate" | "Module" | "Instance">>;

const wasmHere = (): Wasm => (globalThis as { readonly WebAssembly?: Wasm }).WebAssembly ?? {};

export function openKernel(): GaussianKernel {
  return openSimdKernel() ?? createPlainKernel();
}

/** undefined where WebAssembly or its SIMD is missing, or may not be compiled here. */
export function openSimdKernel(wasm: Wasm = wasmHere()): GaussianKernel | undefined {
  const { validate, Module, Instance } = wasm;
  if (validate === undefined || Module === undefined || Instance === undefined) return undefined;
  const code = Uint8Array.from(atob(KERNEL_BASE64), (character) => character.charCodeAt(0));
  let exports: KernelExports;
  try {
    if (!validate(code)) return undefined;
    exports = new Instance(new Module(code)).exports as unknown as KernelExports;
  } catch {
    // A policy may forbid code that is made at run time.
    return undefined;
  }
  const { buffer } = exports.memory;
  return {
    name: "simd",
    random: new Uint8Array(buffer, 0, BATCH * BYTES_PER_SAMPLE),
    sums: new Float64Array(buffer, BATCH * BYTES_PER_SAMPLE, BATCH),
    add: (samples, stddev) => exports.addGaussian(samples, -2 * stddev * stddev) === 1,
  };
}
