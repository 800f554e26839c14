/** sums.as as this engine runs it, on memory of a size that is fixed. */

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

/** What is needed of an engine's WebAssembly; not every engine has it. */
export type Wasm = Partial<Pick<typeof WebAssembly, "validate" | "Module" | "Instance" | "Memory">>;

const wasmHere = (): Wasm => (globalThis as { readonly WebAssembly?: Wasm }).WebAssembly ?? {};
const PAGE_BYTES = 65_536;
export const MOST_BYTES = PAGE_BYTES * 65_536;

/** Memory comes in whole pages. */
export const memoryBytes = (bytes: number): number => PAGE_BYTES * Math.ceil(bytes / PAGE_BYTES);

/** As typed arrays show it the memory has the machine's numbers, which must be those of the kernel. */
const LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;
/** Compiled once, where it compiles. */
const modules = new WeakMap<object, WebAssembly.Module>();

/** undefined where WebAssembly or its SIMD is missing or may not be compiled here, and where memory cannot be had. */
export function openKernel(bytes: number, wasm: Wasm = wasmHere()): Kernel | undefined {
  const { validate, Module, Instance, Memory } = wasm;
  if (!LITTLE_ENDIAN || validate === undefined || Module === undefined) return undefined;
  if (Instance === undefined || Memory === undefined || bytes > MOST_BYTES) return undefined;
  const pages = memoryBytes(bytes) / PAGE_BYTES;
  try {
    let module = modules.get(Module);
    if (module === undefined) {
      const code = Uint8Array.from(atob(KERNEL_BASE64), (character) => character.charCodeAt(0));
      if (!validate(code)) return undefined;
      module = new Module(code);
      modules.set(Module, module);
    }
    const memory = new Memory({ initial: pages, maximum: pages });
    const { exports } = new Instance(module, { env: { memory } });
    return { memory: memory.buffer, run: exports as unknown as KernelFunctions };
  } catch {
    // A policy may forbid code that is made at run time; memory may be short, or its addresses.
    return undefined;
  }
}
