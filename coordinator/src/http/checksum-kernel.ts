/** The inner loop of checksums in SIMD, five times as fast as in plain code, where this engine has it. */

import type { ChecksumKernel } from "@tributary/protocol";
import { CHECKSUM_STATE_WORDS } from "@tributary/protocol";

import type { Wasm } from "../wasm.ts";
import { openWasm, wasmHere } from "../wasm.ts";
import { KERNEL_BASE64 } from "./checksum-wasm.ts";

interface KernelExports {
  readonly memory: WebAssembly.Memory;
  readonly absorb: (bytes: number) => void;
}

const PAGE_BYTES = 65_536;

/** undefined where WebAssembly or its SIMD is missing or may not be compiled: plain code does it then. */
export function openChecksumKernel(wasm: Wasm = wasmHere()): ChecksumKernel | undefined {
  const exports = openWasm(KERNEL_BASE64, wasm) as KernelExports | undefined;
  if (exports === undefined) return undefined;
  const { buffer } = exports.memory;
  const state = new Uint32Array(buffer, 0, CHECKSUM_STATE_WORDS);
  return {
    input: new Uint8Array(buffer, PAGE_BYTES, PAGE_BYTES),
    absorb: (of, bytes) => {
      state.set(of);
      exports.absorb(bytes);
      of.set(state);
    },
  };
}

/** Serves every upload of the process in turn: each brings its own state. */
export const checksumKernel = openChecksumKernel();
