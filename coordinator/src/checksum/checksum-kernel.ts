/** The inner loop of checksums in SIMD, five times as fast as in plain code, where this engine has it. */

import type { AbsorbBlocks } from "@tributary/protocol";
import { CHECKSUM_STATE_WORDS } from "@tributary/protocol";

import type { Wasm } from "../wasm.ts";
import { openWasm, wasmHere } from "../wasm.ts";
import { KERNEL_BASE64 } from "./checksum-wasm.ts";

interface KernelExports {
  readonly absorb: (state: number, from: number, bytes: number) => void;
}

const PAGE_BYTES = 65_536;

/** By memory, how blocks in it are taken in where they lie. */
const inPlace = new WeakMap<ArrayBufferLike, AbsorbBlocks>();

/**
 * From now on blocks in this memory are taken in where they lie, where the engine can.
 * @param stateAt of bytes for a state, which are the kernel's
 */
export function absorbInPlace(memory: WebAssembly.Memory, stateAt: number, wasm: Wasm): void {
  const absorb = openOn(() => memory, stateAt, wasm);
  if (absorb !== undefined) inPlace.set(memory.buffer, absorb);
}

/** undefined where WebAssembly or its SIMD is missing or may not be compiled: plain code does it then. */
export function openChecksumKernel(wasm: Wasm = wasmHere()): AbsorbBlocks | undefined {
  const { Memory } = wasm;
  if (Memory === undefined) return undefined;
  let memory: WebAssembly.Memory | undefined;
  const absorb = openOn(() => (memory ??= new Memory({ initial: 2, maximum: 2 })), 0, wasm);
  if (absorb === undefined || memory === undefined) return undefined;
  const page = new Uint8Array(memory.buffer, PAGE_BYTES, PAGE_BYTES);
  return (state, bytes, from, end) => {
    const there = inPlace.get(bytes.buffer);
    if (there !== undefined) {
      there(state, bytes, from, end);
      return;
    }
    for (let at = from; at < end; at += PAGE_BYTES) {
      const part = bytes.subarray(at, Math.min(at + PAGE_BYTES, end));
      page.set(part);
      absorb(state, page, 0, part.length);
    }
  };
}

/**
 * Of blocks in the memory. Serves any number of states in turn: each is brought for the call.
 * @param memory may throw: then there is no kernel
 */
function openOn(
  memory: () => WebAssembly.Memory,
  stateAt: number,
  wasm: Wasm,
): AbsorbBlocks | undefined {
  const exports = openWasm(KERNEL_BASE64, wasm, () => ({ env: { memory: memory() } }));
  if (exports === undefined) return undefined;
  const { absorb } = exports as unknown as KernelExports;
  const state = new Uint32Array(memory().buffer, stateAt, CHECKSUM_STATE_WORDS);
  return (of, { byteOffset }, from, end) => {
    state.set(of);
    absorb(stateAt, byteOffset + from, end - from);
    of.set(state);
  };
}

/** Serves every upload of the process. */
export const checksumKernel = openChecksumKernel();
