/**
 * What robust rules do with a tile of updates: one row for each update, one column for each parameter, in float32. The
 * plain functions are what robust.as computes with SIMD, for engines without it and for readers.
 */

import { middleNetwork } from "../network.ts";

/** Updates of one round at most: so many rows, of a block each, are a megabyte. */
export const MOST_ROWS = 4_096;
/** Columns are taken in blocks of so many; the last is filled up with zeros. */
export const COLUMNS_PER_BLOCK = 32;
/** Numbers in a tile, as far as there are few rows: it should stay in the second cache. */
const TILE = 2 ** 17;
const MOST_COLUMNS = 2_048;

/** Memory for a tile, and the functions that work on it. `columns` is a multiple of {@link COLUMNS_PER_BLOCK}. */
export interface RobustKernel {
  readonly name: "simd" | "plain";
  readonly rows: number;
  /** Columns that the tile has room for. */
  readonly columns: number;
  /** To be filled before each tile. */
  row(index: number): Float32Array;
  /** One number for each column: what comes out, or what is started from. */
  readonly out: Float64Array;
  /** One for each row. */
  readonly weights: Float64Array;
  /** Squared distances of each row from what comes out, added up over tiles. */
  readonly distances: Float64Array;
  /** Squared distances of rows i > j, at place i (i - 1) / 2 + j, added up over tiles; empty unless asked for. */
  readonly pairs: Float64Array;
  /** Is no number of the tile NaN or infinite? */
  areFinite(columns: number): boolean;
  /** out = of each column the mean without the `trim` smallest and largest values. Leaves the tile disordered. */
  trimmedMean(columns: number, trim: number): void;
  /** out = keep * out + the sum of weights[i] * row i. */
  combine(columns: number, keep: number): void;
  /** distances[i] += |row i - out|^2. */
  addDistances(columns: number): void;
  /** pairs += |row i - row j|^2. */
  addPairs(columns: number): void;
}

export interface TileShape {
  readonly rows: number;
  /** Is there room for distances between all rows? */
  readonly withPairs: boolean;
}

/** Columns of a tile with so many rows. */
export function columnsFor(rows: number): number {
  const fitting = Math.floor(TILE / rows / COLUMNS_PER_BLOCK) * COLUMNS_PER_BLOCK;
  return Math.min(MOST_COLUMNS, Math.max(COLUMNS_PER_BLOCK, fitting));
}

export const pairCount = (rows: number): number => (rows * (rows - 1)) / 2;

/** @throws RangeError unless there are 1 to {@link MOST_ROWS} rows */
export function assertRows(rows: number): void {
  if (Number.isSafeInteger(rows) && rows >= 1 && rows <= MOST_ROWS) return;
  throw new RangeError(`a robust rule takes 1 to ${MOST_ROWS} updates, got ${rows}`);
}

export function createPlainKernel({ rows, withPairs }: TileShape): RobustKernel {
  assertRows(rows);
  const most = columnsFor(rows);
  const tile = Array.from({ length: rows }, () => new Float32Array(most));
  const out = new Float64Array(most);
  const weights = new Float64Array(rows);
  const distances = new Float64Array(rows);
  const pairs = new Float64Array(withPairs ? pairCount(rows) : 0);
  const networks = new Map<number, ReturnType<typeof middleNetwork>>();
  const at = (row: number) => tile[row] as Float32Array;
  return {
    name: "plain",
    ...{ rows, columns: most, row: at, out, weights, distances, pairs },
    areFinite: (columns) =>
      tile.every((row) => row.subarray(0, columns).every((value) => Number.isFinite(value))),
    trimmedMean: (columns, trim) => {
      const network = networks.get(trim) ?? middleNetwork(rows, trim);
      networks.set(trim, network);
      for (const [i, j] of network) exchange(at(i), at(j), columns);
      const share = 1 / (rows - 2 * trim);
      out.fill(0, 0, columns);
      for (let i = trim; i < rows - trim; i++) addScaled(out, at(i), 1, columns);
      for (let c = 0; c < columns; c++) out[c] = (out[c] as number) * share;
    },
    combine: (columns, keep) => {
      for (let c = 0; c < columns; c++) out[c] = (out[c] as number) * keep;
      for (let i = 0; i < rows; i++) addScaled(out, at(i), weights[i] as number, columns);
    },
    addDistances: (columns) => {
      for (let i = 0; i < rows; i++) {
        distances[i] = (distances[i] as number) + squaredDistance(at(i), out, columns);
      }
    },
    addPairs: (columns) => {
      let pair = 0;
      for (let i = 0; i < rows; i++) {
        for (let j = 0; j < i; j++, pair++) {
          pairs[pair] = (pairs[pair] as number) + squaredDistance(at(i), at(j), columns);
        }
      }
    },
  };
}

function exchange(a: Float32Array, b: Float32Array, columns: number): void {
  for (let c = 0; c < columns; c++) {
    const x = a[c] as number;
    const y = b[c] as number;
    if (x > y) {
      a[c] = y;
      b[c] = x;
    }
  }
}

function addScaled(sum: Float64Array, row: Float32Array, factor: number, columns: number): void {
  for (let c = 0; c < columns; c++) sum[c] = (sum[c] as number) + factor * (row[c] as number);
}

function squaredDistance(a: Float32Array, b: Float32Array | Float64Array, columns: number): number {
  let sum = 0;
  for (let c = 0; c < columns; c++) {
    const difference = (a[c] as number) - (b[c] as number);
    sum += difference * difference;
  }
  return sum;
}
