/** The inner loop of checksums in SIMD, five times as fast as in plain code, where this engine has it. */

import { endianness } from "node:os";

import type { ChecksumKernel } from "@tributary/protocol";
import { CHECKSUM_STATE_WORDS } from "@tributary/protocol";

import { KERNEL_BASE64 } from "./checksum-wasm.ts";

interface KernelExports {
  readonly memory: WebAssembly.Memory;
  readonly absorb: (bytes: number) => void;
}

/** What is needed of an engine's WebAssembly; not every engine has it. */
export type Wasm = Partial<Pick<typeof WebAssembly, "validate" | "Module" | "Instance">>;

const PAGE_BYTES = 65_536;

const wasmHere = (): Wasm => (globalThis as { readonly WebAssembly?: Wasm }).WebAssembly ?? {};

/** undefined where WebAssembly or its SIMD is missing or may not be compiled: plain code does it then. */
export function openChecksumKernel(wasm: Wasm = wasmHere()): ChecksumKernel | undefined {
  const { validate, Module, Instance } = wasm;
  if (validate === undefined || Module === undefined || Instance === undefined) return undefined;
  // Its memory is little-endian on every machine, and the views of it are not.
  if (endianness() !== "LE") return undefined;
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
