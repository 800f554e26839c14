/** The kernel of robust rules that this engine can run: SIMD where it may, else plain. */

import type { Wasm } from "../../../wasm.ts";
import { openWasm, wasmHere } from "../../../wasm.ts";
import { batcherNetwork, middleNetwork } from "../network.ts";
import type { RobustKernel, TileShape } from "./robust.ts";
import { assertRows, columnsFor, createPlainKernel, pairCount } from "./robust.ts";
import { KERNEL_BASE64 } from "./robust-wasm.ts";

/** Addresses and lengths in bytes. */
interface KernelExports {
  readonly memory: WebAssembly.Memory;
  readonly areFinite: (tile: number, stride: number, rows: number, bytes: number) => number;
  readonly trimmedMean: (
    tile: number,
    stride: number,
    rows: number,
    bytes: number,
    network: number,
    networkEnd: number,
    trim: number,
    out: number,
  ) => void;
  readonly combine: (
    tile: number,
    stride: number,
    rows: number,
    bytes: number,
    weights: number,
    keep: number,
    out: number,
  ) => void;
  readonly addDistances: (
    tile: number,
    stride: number,
    rows: number,
    bytes: number,
    out: number,
    distances: number,
  ) => void;
  readonly addPairs: (
    tile: number,
    stride: number,
    rows: number,
    bytes: number,
    pairs: number,
  ) => void;
}

const PAGE = 65_536;
/** Rows whose distance is a power of two would share the same places of the first cache. */
const PADDING = 64;

export const openKernel = (shape: TileShape): RobustKernel =>
  openSimdKernel(shape) ?? createPlainKernel(shape);

/**
 * undefined where WebAssembly or its SIMD is missing, may not be compiled here, or has no memory left.
 * @throws RangeError for a number of rows that no kernel takes
 */
export function openSimdKernel(
  shape: TileShape,
  wasm: Wasm = wasmHere(),
): RobustKernel | undefined {
  assertRows(shape.rows);
  const exports = openWasm(KERNEL_BASE64, wasm) as KernelExports | undefined;
  if (exports === undefined) return undefined;
  try {
    return kernelOver(exports, shape);
  } catch {
    // A process may not get the memory.
    return undefined;
  }
}

function kernelOver(exports: KernelExports, { rows, withPairs }: TileShape): RobustKernel {
  const columns = columnsFor(rows);
  const stride = 4 * columns + PADDING;
  let end = 0;
  const place = (bytes: number) => {
    const at = end;
    end += Math.ceil(bytes / PADDING) * PADDING;
    return at;
  };
  // The first bytes stay free: compilers take address 0 for none.
  place(PADDING);
  const outAt = place(8 * columns);
  const weightsAt = place(8 * rows);
  const distancesAt = place(8 * rows);
  const pairsAt = place(withPairs ? 8 * pairCount(rows) : 0);
  const tileAt = place(stride * rows);
  const networkAt = end;
  const { memory } = exports;
  const reserve = (bytes: number) => {
    const missing = Math.ceil(bytes / PAGE) - memory.buffer.byteLength / PAGE;
    if (missing > 0) memory.grow(missing);
  };
  // Growing takes the memory of earlier views away, so room for any network is made first.
  reserve(networkAt + 8 * batcherNetwork(rows).length);
  let network: { readonly trim: number; readonly end: number } | undefined;
  const { buffer } = memory;
  const writeNetwork = (trim: number): number => {
    if (network?.trim === trim) return network.end;
    const exchanges = middleNetwork(rows, trim);
    const offsets = new Uint32Array(buffer, networkAt, 2 * exchanges.length);
    offsets.set(exchanges.flat().map((row) => row * stride));
    network = { trim, end: networkAt + offsets.byteLength };
    return network.end;
  };
  const tile = (columns: number) => [tileAt, stride, rows, 4 * columns] as const;
  return {
    name: "simd",
    rows,
    columns,
    row: (index) => new Float32Array(buffer, tileAt + index * stride, columns),
    out: new Float64Array(buffer, outAt, columns),
    weights: new Float64Array(buffer, weightsAt, rows),
    distances: new Float64Array(buffer, distancesAt, rows),
    pairs: new Float64Array(buffer, pairsAt, withPairs ? pairCount(rows) : 0),
    areFinite: (columns) => exports.areFinite(...tile(columns)) === 1,
    trimmedMean: (columns, trim) => {
      const networkEnd = writeNetwork(trim);
      exports.trimmedMean(...tile(columns), networkAt, networkEnd, trim, outAt);
    },
    combine: (columns, keep) => exports.combine(...tile(columns), weightsAt, keep, outAt),
    addDistances: (columns) => exports.addDistances(...tile(columns), outAt, distancesAt),
    addPairs: (columns) => exports.addPairs(...tile(columns), pairsAt),
  };
}
