/** sums.as as this engine runs it, on memory of a size that is fixed. */

import { absorbInPlace } from "../../checksum/checksum-kernel.ts";
import type { Wasm } from "../../wasm.ts";
import { openWasm, wasmHere } from "../../wasm.ts";
import { KERNEL_BASE64 } from "./sums-wasm.ts";

type Add = (
  ...values: [sum: number, count: number, scales: number, numbers: number, deltas: number]
) => void;

/** What sums.as exports: its comments say what each does. Places are bytes of the memory. */
export interface KernelFunctions
  extends
    Record<`add${"Float32" | "Bfloat16" | "Int8" | "Int4"}${"" | "Whole"}`, Add>,
    Record<`square${"Float32" | "Bfloat16"}`, (at: number, count: number) => void>,
    Record<`square${"Int8" | "Int4"}`, (scales: number, numbers: number, count: number) => number> {
  readonly readGaps: (
    ...gaps: [
      at: number,
      end: number,
      previous: number,
      count: number,
      parameters: number,
      to: number,
    ]
  ) => number;
  readonly drawIndices: (
    ...strata: [
      seed: number,
      first: number,
      count: number,
      of: number,
      parameters: number,
      to: number,
    ]
  ) => void;
  readonly scatter: (sum: number, indices: number, terms: number, count: number) => void;
  readonly meanFloat32: (
    ...values: [sum: number, count: number, numbers: number, deltas: number, denominator: number]
  ) => void;
  readonly divide: (sum: number, count: number, denominator: number) => void;
  readonly addModular: (sum: number, values: number, count: number) => void;
}

export interface Kernel {
  readonly memory: ArrayBuffer;
  readonly run: KernelFunctions;
}

const PAGE_BYTES = 65_536;
/** 256 bytes of the first page, between what the passes use of it. */
const CHECKSUM_AT = 20_480;
export const MOST_BYTES = PAGE_BYTES * 65_536;

/** Memory comes in whole pages. */
export const memoryBytes = (bytes: number): number => PAGE_BYTES * Math.ceil(bytes / PAGE_BYTES);

/** undefined where WebAssembly or its SIMD is missing or may not be compiled here, and where memory cannot be had. */
export function openKernel(bytes: number, wasm: Wasm = wasmHere()): Kernel | undefined {
  const { Memory } = wasm;
  if (Memory === undefined || bytes > MOST_BYTES) return undefined;
  const pages = memoryBytes(bytes) / PAGE_BYTES;
  let memory: WebAssembly.Memory | undefined;
  const run = openWasm(KERNEL_BASE64, wasm, () => {
    memory = new Memory({ initial: pages, maximum: pages });
    return { env: { memory } };
  }) as KernelFunctions | undefined;
  if (run === undefined || memory === undefined) return undefined;
  absorbInPlace(memory, CHECKSUM_AT, wasm);
  return { memory: memory.buffer, run };
}
