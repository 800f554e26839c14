/** Updates of a round as rows of numbers, and the passes over them: tile by tile, so that only one is decoded. */

import type { RobustKernel } from "./kernel/robust.ts";
import { COLUMNS_PER_BLOCK } from "./kernel/robust.ts";

/** The updates of a round, wherever and however they are kept. */
export interface UpdateRows {
  readonly rows: number;
  readonly parameterCount: number;
  /** Writes the numbers of one update from parameter `from` on, as many as `target` has room for. */
  read(row: number, from: number, target: Float32Array): void;
}

/** Rows of numbers in memory. @throws RangeError unless all are of one length */
export function rowsOf(vectors: readonly Float32Array[]): UpdateRows {
  const parameterCount = vectors[0]?.length ?? 0;
  for (const { length } of vectors) {
    if (length === parameterCount) continue;
    throw new RangeError(`an update of ${length} parameters beside one of ${parameterCount}`);
  }
  return {
    rows: vectors.length,
    parameterCount,
    read: (row, from, target) => {
      target.set((vectors[row] as Float32Array).subarray(from, from + target.length));
    },
  };
}

/** Each row times its factor. */
export function scaledRows(updates: UpdateRows, factors: Float64Array): UpdateRows {
  return {
    ...updates,
    read: (row, from, target) => {
      updates.read(row, from, target);
      const factor = factors[row] as number;
      if (factor === 1) return;
      for (let i = 0; i < target.length; i++) target[i] = factor * (target[i] as number);
    },
  };
}

/** Of a pass: parameters `from` to `from + count`, in the first columns of the tile; `columns` is with padding. */
export interface Tile {
  readonly from: number;
  readonly count: number;
  readonly columns: number;
}

/**
 * Fills the kernel's tile with each stretch of parameters in turn.
 * @throws RangeError when an update has NaN or infinite numbers, before anything is made of them
 */
export function forEachTile(
  kernel: RobustKernel,
  updates: UpdateRows,
  visit: (tile: Tile) => void,
): void {
  const rows = Array.from({ length: updates.rows }, (_, row) => kernel.row(row));
  for (let from = 0; from < updates.parameterCount; from += kernel.columns) {
    const count = Math.min(kernel.columns, updates.parameterCount - from);
    const columns = Math.ceil(count / COLUMNS_PER_BLOCK) * COLUMNS_PER_BLOCK;
    for (const [index, row] of rows.entries()) {
      updates.read(index, from, count === row.length ? row : row.subarray(0, count));
      row.fill(0, count, columns);
    }
    if (!kernel.areFinite(columns)) throw new RangeError("an update has NaN or infinite numbers");
    visit({ from, count, columns });
  }
}

/** The L2 norm of each update. */
export function normsOf(kernel: RobustKernel, updates: UpdateRows): Float64Array {
  kernel.out.fill(0);
  kernel.distances.fill(0);
  forEachTile(kernel, updates, ({ columns }) => kernel.addDistances(columns));
  return kernel.distances.map(Math.sqrt);
}
