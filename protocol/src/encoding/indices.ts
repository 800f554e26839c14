/** Which parameters a sparse payload tells of: the largest, as gaps between them, or one of every stratum. */

import { assertZeros, malformed, SLICE_VALUES } from "./values.ts";

/** Orders finite numbers by magnitude, as whole numbers do. */
const MAGNITUDE = 0x7fffffff;

/**
 * Indices of the `count` numbers of largest magnitude, ascending; of equal ones the first. Two counting passes over
 * the halves of their bits find the smallest that is taken, whatever the numbers are.
 */
export function* largestIndices(
  values: Float32Array,
  count: number,
): Generator<undefined, Uint32Array<ArrayBuffer>> {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const upper = new Uint32Array(32_768);
  for (const slice of slicesOf(words)) {
    countUpper(slice, upper);
    yield;
  }
  const [high, above] = reach(upper, count);
  const lower = new Uint32Array(65_536);
  for (const slice of slicesOf(words)) {
    countLower(slice, high, lower);
    yield;
  }
  const [low, aboveLow] = reach(lower, count - above);
  const taking = { threshold: high * 65_536 + low, equal: count - above - aboveLow, found: 0 };
  const indices = new Uint32Array(count);
  let start = 0;
  for (const slice of slicesOf(words)) {
    takeLargest(slice, start, taking, indices);
    start += slice.length;
    yield;
  }
  return indices;
}

function* slicesOf(words: Uint32Array): Generator<Uint32Array, void> {
  for (let start = 0; start < words.length; start += SLICE_VALUES) {
    yield words.subarray(start, start + SLICE_VALUES);
  }
}

function countUpper(words: Uint32Array, counts: Uint32Array): void {
  for (let i = 0; i < words.length; i++) {
    const bin = ((words[i] as number) & MAGNITUDE) >>> 16;
    counts[bin] = (counts[bin] as number) + 1;
  }
}

function countLower(words: Uint32Array, high: number, counts: Uint32Array): void {
  for (let i = 0; i < words.length; i++) {
    const bits = (words[i] as number) & MAGNITUDE;
    if (bits >>> 16 !== high) continue;
    const bin = bits & 0xffff;
    counts[bin] = (counts[bin] as number) + 1;
  }
}

/** @param taking what is left to be taken; kept up to date */
function takeLargest(
  words: Uint32Array,
  start: number,
  taking: { readonly threshold: number; equal: number; found: number },
  indices: Uint32Array,
): void {
  const { threshold } = taking;
  let { equal, found } = taking;
  for (let i = 0; i < words.length; i++) {
    const bits = (words[i] as number) & MAGNITUDE;
    if (bits < threshold || (bits === threshold && equal-- <= 0)) continue;
    indices[found++] = start + i;
  }
  taking.equal = equal;
  taking.found = found;
}

/** The bin from the top in which the `count`-th lies, and how many are in the bins above it. */
function reach(counts: Uint32Array, count: number): [bin: number, above: number] {
  let above = 0;
  let bin = counts.length - 1;
  while (bin > 0 && above + (counts[bin] as number) < count) above += counts[bin--] as number;
  return [bin, above];
}

/** Gaps between ascending indices, LEB128, not padded. */
export function gapsOf(indices: Uint32Array): Uint8Array {
  // Five bytes hold 35 bits, more than any index has.
  const gaps = new Uint8Array(5 * indices.length);
  let at = 0;
  let previous = -1;
  for (const index of indices) {
    let gap = index - previous - 1;
    previous = index;
    for (; gap > 127; gap = Math.floor(gap / 128)) gaps[at++] = 128 | (gap & 127);
    gaps[at++] = gap;
  }
  return gaps.subarray(0, at);
}

/**
 * Reads `count` gaps, padded to `end`.
 * @throws FederatedError MALFORMED_MESSAGE for anything but ascending indices below `parameterCount`
 */
export function readGaps(
  source: DataView,
  at: number,
  [bytes, count, parameterCount]: readonly [bytes: number, count: number, parameterCount: number],
): Uint32Array<ArrayBuffer> {
  const indices = new Uint32Array(count);
  const end = at + bytes;
  let place = at;
  let previous = -1;
  for (let i = 0; i < count; i++) {
    let gap = 0;
    for (let unit = 1; ; unit *= 128) {
      if (place >= end) throw malformed(`the gaps end before the last of ${count} indices`);
      const byte = source.getUint8(place++);
      gap += (byte & 127) * unit;
      if (byte < 128) {
        if (byte === 0 && unit > 1) throw malformed("a gap takes more bytes than it needs");
        break;
      }
      if (unit > parameterCount) throw malformed("a gap is larger than the model");
    }
    previous += gap + 1;
    if (previous >= parameterCount) {
      throw malformed(`an index of ${previous} in a model of ${parameterCount} parameters`);
    }
    indices[i] = previous;
  }
  if (place !== end) throw malformed(`${end - place} bytes follow the last gap`);
  assertZeros(source, end, 4 * Math.ceil(end / 4));
  return indices;
}

/**
 * A hash of 32 bits: one to one in the seed for every j, so that over all seeds every outcome is equally likely. The
 * finishing step of MurmurHash3 (Appleby, public domain), over the seed and the mixed j.
 */
export const hash32 = (seed: number, j: number): number => finish(seed ^ finish(j + 0x9e3779b9));

function finish(bits: number): number {
  let h = bits;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/**
 * Calls `take` with the index that is chosen of each of `count` strata, in order, and the size of the stratum. The
 * borders floor(j P / k) are counted up in whole numbers, as j P may be above 2^53.
 */
export function* strata(
  seed: number,
  count: number,
  parameterCount: number,
  take: (j: number, index: number, size: number) => void,
): Generator<undefined, void> {
  const step = Math.floor(parameterCount / count);
  const rest = parameterCount % count;
  let start = 0;
  let carried = 0;
  for (let j = 0; j < count; j++) {
    carried += rest;
    const size = step + (carried >= count ? 1 : 0);
    if (carried >= count) carried -= count;
    take(j, start + (hash32(seed, j) % size), size);
    start += size;
    if (j % SLICE_VALUES === SLICE_VALUES - 1) yield;
  }
}
