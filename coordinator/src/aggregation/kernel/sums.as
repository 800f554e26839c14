// Sums of encoded deltas in float64 SIMD, in AssemblyScript. plain.ts says the same in TypeScript and gives the same
// bits; `npm run kernels` compiles this into sums-wasm.ts. Every element is decoded where it is added: no vector of
// float32 numbers is made of a quantised update. The deltas of a pass are added one after the other to each element, so
// that how many go together changes no bit.

/** Eight sums of squares: element i of a dense section belongs to lane i mod 8. */
const LANES_AT: usize = 0;
/** Where the payload of a delta begins, 8 bytes, and how much it counts, float64; so for each delta of a pass. */
const TABLE_AT: usize = 128;
/** Values that share a scale, and that all deltas of a pass are added to before the next: of the sum 8 KB. */
const BLOCK: usize = 1024;
/** A byte at the upper end of 32 bits is so many times its value. */
const RAISED: f64 = 16777216;

// ------------------------------------------------------------------------------ pieces

// @ts-ignore: decorator
@inline
function upper(x: v128): v128 {
  return v128.shuffle<i32>(x, x, 2, 3, 2, 3);
}

/** What an element adds: of whole sums rounded, ties to even. */
// @ts-ignore: decorator
@inline
function term(value: v128, factor: v128, whole: bool): v128 {
  const product = f64x2.mul(value, factor);
  return whole ? f64x2.nearest(product) : product;
}

// @ts-ignore: decorator
@inline
function termOf(value: f64, factor: f64, whole: bool): f64 {
  const product = value * factor;
  return whole ? nearest<f64>(product) : product;
}

/** Four float32 numbers from place i on; bfloat16 is their upper half. */
// @ts-ignore: decorator
@inline
function floats(at: usize, i: usize, half: bool): v128 {
  if (half) return raisedTwice(v128.load64_zero(at + (i << 1)));
  return v128.load(at + (i << 2));
}

/** Two of them as float64. */
// @ts-ignore: decorator
@inline
function doubles(at: usize, i: usize): v128 {
  return f64x2.promote_low_f32x4(v128.load64_zero(at + (i << 2)));
}

// @ts-ignore: decorator
@inline
function floatAt(at: usize, i: usize, half: bool): f64 {
  if (half) return f64(reinterpret<f32>(u32(load<u16>(at + (i << 1))) << 16));
  return f64(load<f32>(at + (i << 2)));
}

/** Sixteen whole numbers from place i on, i even; int4 has the low nibble first, and 8 for 0. */
// @ts-ignore: decorator
@inline
function wholes(at: usize, i: usize, nibbles: bool): v128 {
  if (!nibbles) return v128.load(at + i);
  return i8x16.sub(nibblesOf(at + (i >> 1)), i8x16.splat(8));
}

/** Eight bytes as sixteen nibbles, in order. */
// @ts-ignore: decorator
@inline
function nibblesOf(at: usize): v128 {
  const pairs = v128.load8x8_u(at);
  const low = v128.and(pairs, i16x8.splat(0x0f));
  return v128.or(low, i16x8.shl(v128.and(pairs, i16x8.splat(0xf0)), 4));
}

// @ts-ignore: decorator
@inline
function wholeAt(at: usize, i: usize, nibbles: bool): i32 {
  if (!nibbles) return load<i8>(at + i);
  return ((i32(load<u8>(at + (i >> 1))) >> i32((i & 1) << 2)) & 15) - 8;
}

/** Four numbers of 16 bits as the upper halves of 32. */
// @ts-ignore: decorator
@inline
function raisedTwice(x: v128): v128 {
  return v128.shuffle<i16>(i32x4.splat(0), x, 0, 8, 1, 9, 2, 10, 3, 11);
}

// @ts-ignore: decorator
@inline
function placeOf(delta: usize): usize {
  return load<u32>(TABLE_AT + (delta << 4));
}

// @ts-ignore: decorator
@inline
function factorOf(delta: usize): f64 {
  return load<f64>(TABLE_AT + (delta << 4) + 8);
}

// ------------------------------------------------------------------------------ floats

/** With `last` every element is divided by `divisor` when all are added. */
// @ts-ignore: decorator
@inline
function addManyFloats(
  sum: usize, count: usize, numbers: usize, deltas: usize, half: bool, whole: bool,
  last: bool, divisor: f64,
): void {
  for (let start: usize = 0; start < count; start += BLOCK) {
    const size = count - start < BLOCK ? count - start : BLOCK;
    const to = sum + (start << 3);
    const from = numbers + (half ? start << 1 : start << 2);
    // While it adds the last four the processor has time to divide.
    const together: usize = last && deltas > 0 && (deltas & 3) == 0 ? deltas - 4 : deltas;
    let k: usize = 0;
    for (; k + 4 <= together; k += 4) addFour(to, size, from, k, half, whole, false, 1);
    if (last && k < deltas && together < deltas) {
      addFour(to, size, from, k, half, whole, true, divisor);
      continue;
    }
    for (; k < deltas; k++) {
      const a = placeOf(k) + from;
      const fa = factorOf(k);
      addFloats(to, size, a, a, a, a, fa, fa, fa, fa, half, whole, false, false, 1);
    }
    if (last) divide(to, size, divisor);
  }
}

// @ts-ignore: decorator
@inline
function addFour(
  to: usize, size: usize, from: usize, k: usize, half: bool, whole: bool, last: bool, divisor: f64,
): void {
  addFloats(
    to, size, placeOf(k) + from, placeOf(k + 1) + from, placeOf(k + 2) + from,
    placeOf(k + 3) + from, factorOf(k), factorOf(k + 1), factorOf(k + 2), factorOf(k + 3),
    half, whole, true, last, divisor,
  );
}

// @ts-ignore: decorator
@inline
function addFloats(
  sum: usize, count: usize,
  a: usize, b: usize, c: usize, d: usize,
  fa: f64, fb: f64, fc: f64, fd: f64,
  half: bool, whole: bool, four: bool, last: bool, divisor: f64,
): void {
  const by = f64x2.splat(divisor);
  const wa = f64x2.splat(fa);
  const wb = f64x2.splat(fb);
  const wc = f64x2.splat(fc);
  const wd = f64x2.splat(fd);
  const even = count & ~3;
  let i: usize = 0;
  for (; i < even; i += 4) {
    const to = sum + (i << 3);
    let low = v128.load(to);
    let high = v128.load(to, 16);
    if (half) {
      let x = floats(a, i, half);
      low = f64x2.add(low, term(f64x2.promote_low_f32x4(x), wa, whole));
      high = f64x2.add(high, term(f64x2.promote_low_f32x4(upper(x)), wa, whole));
      if (four) {
        x = floats(b, i, half);
        low = f64x2.add(low, term(f64x2.promote_low_f32x4(x), wb, whole));
        high = f64x2.add(high, term(f64x2.promote_low_f32x4(upper(x)), wb, whole));
        x = floats(c, i, half);
        low = f64x2.add(low, term(f64x2.promote_low_f32x4(x), wc, whole));
        high = f64x2.add(high, term(f64x2.promote_low_f32x4(upper(x)), wc, whole));
        x = floats(d, i, half);
        low = f64x2.add(low, term(f64x2.promote_low_f32x4(x), wd, whole));
        high = f64x2.add(high, term(f64x2.promote_low_f32x4(upper(x)), wd, whole));
      }
    } else {
      low = f64x2.add(low, term(doubles(a, i), wa, whole));
      high = f64x2.add(high, term(doubles(a, i + 2), wa, whole));
      if (four) {
        low = f64x2.add(low, term(doubles(b, i), wb, whole));
        high = f64x2.add(high, term(doubles(b, i + 2), wb, whole));
        low = f64x2.add(low, term(doubles(c, i), wc, whole));
        high = f64x2.add(high, term(doubles(c, i + 2), wc, whole));
        low = f64x2.add(low, term(doubles(d, i), wd, whole));
        high = f64x2.add(high, term(doubles(d, i + 2), wd, whole));
      }
    }
    if (last) {
      low = f64x2.div(low, by);
      high = f64x2.div(high, by);
    }
    v128.store(to, low);
    v128.store(to, high, 16);
  }
  for (; i < count; i++) {
    const to = sum + (i << 3);
    let total = load<f64>(to) + termOf(floatAt(a, i, half), fa, whole);
    if (four) {
      total += termOf(floatAt(b, i, half), fb, whole);
      total += termOf(floatAt(c, i, half), fc, whole);
      total += termOf(floatAt(d, i, half), fd, whole);
    }
    store<f64>(to, last ? total / divisor : total);
  }
}

// @ts-ignore: decorator
@inline
function squareFloats(at: usize, count: usize, half: bool): void {
  let s0 = v128.load(LANES_AT);
  let s1 = v128.load(LANES_AT, 16);
  let s2 = v128.load(LANES_AT, 32);
  let s3 = v128.load(LANES_AT, 48);
  const even = count & ~7;
  let i: usize = 0;
  for (; i < even; i += 8) {
    const x = half ? floats(at, i, half) : s0;
    const y = half ? floats(at, i + 4, half) : s0;
    const a = half ? f64x2.promote_low_f32x4(x) : doubles(at, i);
    const b = half ? f64x2.promote_low_f32x4(upper(x)) : doubles(at, i + 2);
    const c = half ? f64x2.promote_low_f32x4(y) : doubles(at, i + 4);
    const d = half ? f64x2.promote_low_f32x4(upper(y)) : doubles(at, i + 6);
    s0 = f64x2.add(s0, f64x2.mul(a, a));
    s1 = f64x2.add(s1, f64x2.mul(b, b));
    s2 = f64x2.add(s2, f64x2.mul(c, c));
    s3 = f64x2.add(s3, f64x2.mul(d, d));
  }
  v128.store(LANES_AT, s0);
  v128.store(LANES_AT, s1, 16);
  v128.store(LANES_AT, s2, 32);
  v128.store(LANES_AT, s3, 48);
  for (; i < count; i++) {
    const lane = LANES_AT + ((i & 7) << 3);
    const value = floatAt(at, i, half);
    store<f64>(lane, load<f64>(lane) + value * value);
  }
}

// --------------------------------------------------------------------- quantised numbers

// @ts-ignore: decorator
@inline
function addManyWholes(
  sum: usize, count: usize, scales: usize, numbers: usize, deltas: usize,
  nibbles: bool, whole: bool,
): void {
  for (let start: usize = 0; start < count; start += BLOCK) {
    const size = count - start < BLOCK ? count - start : BLOCK;
    const to = sum + (start << 3);
    const scale = scales + (start / BLOCK) * 4;
    const from = numbers + (nibbles ? start >> 1 : start);
    let k: usize = 0;
    for (; k + 4 <= deltas; k += 4) {
      const a = placeOf(k);
      const b = placeOf(k + 1);
      const c = placeOf(k + 2);
      const d = placeOf(k + 3);
      addWholes(
        to, size, a + from, b + from, c + from, d + from,
        termFactor(k, a + scale), termFactor(k + 1, b + scale), termFactor(k + 2, c + scale),
        termFactor(k + 3, d + scale), nibbles, whole, true,
      );
    }
    for (; k < deltas; k++) {
      const a = placeOf(k);
      const sa = termFactor(k, a + scale);
      const at = a + from;
      addWholes(to, size, at, at, at, at, sa, sa, sa, sa, nibbles, whole, false);
    }
  }
}

/** Of a raised number. */
// @ts-ignore: decorator
@inline
function termFactor(delta: usize, scale: usize): f64 {
  return factorOf(delta) * (f64(load<f32>(scale)) / RAISED);
}

/** Of one block. */
// @ts-ignore: decorator
@inline
function addWholes(
  sum: usize, size: usize, a: usize, b: usize, c: usize, d: usize,
  sa: f64, sb: f64, sc: f64, sd: f64, nibbles: bool, whole: bool, four: bool,
): void {
  const wa = f64x2.splat(sa);
  const wb = f64x2.splat(sb);
  const wc = f64x2.splat(sc);
  const wd = f64x2.splat(sd);
  const even = size & ~15;
  let i: usize = 0;
  for (; i < even; i += 16) {
    const to = sum + (i << 3);
    const qa = wholes(a, i, nibbles);
    const qb = four ? wholes(b, i, nibbles) : qa;
    const qc = four ? wholes(c, i, nibbles) : qa;
    const qd = four ? wholes(d, i, nibbles) : qa;
    addPair(to, 0, qa, qb, qc, qd, wa, wb, wc, wd, whole, four);
    addPair(to, 2, qa, qb, qc, qd, wa, wb, wc, wd, whole, four);
    addPair(to, 4, qa, qb, qc, qd, wa, wb, wc, wd, whole, four);
    addPair(to, 6, qa, qb, qc, qd, wa, wb, wc, wd, whole, four);
    addPair(to, 8, qa, qb, qc, qd, wa, wb, wc, wd, whole, four);
    addPair(to, 10, qa, qb, qc, qd, wa, wb, wc, wd, whole, four);
    addPair(to, 12, qa, qb, qc, qd, wa, wb, wc, wd, whole, four);
    addPair(to, 14, qa, qb, qc, qd, wa, wb, wc, wd, whole, four);
  }
  for (; i < size; i++) {
    const to = sum + (i << 3);
    let total = load<f64>(to) + termOf(RAISED * f64(wholeAt(a, i, nibbles)), sa, whole);
    if (four) {
      total += termOf(RAISED * f64(wholeAt(b, i, nibbles)), sb, whole);
      total += termOf(RAISED * f64(wholeAt(c, i, nibbles)), sc, whole);
      total += termOf(RAISED * f64(wholeAt(d, i, nibbles)), sd, whole);
    }
    store<f64>(to, total);
  }
}

/** To two elements from place k on, of sixteen, k even. */
// @ts-ignore: decorator
@inline
function addPair(
  sum: usize, k: i8, qa: v128, qb: v128, qc: v128, qd: v128,
  wa: v128, wb: v128, wc: v128, wd: v128, whole: bool, four: bool,
): void {
  const to = sum + (usize(k) << 3);
  // Their bytes go to the upper ends of 32 bits, with zeros below.
  const places = i8x16(-1, -1, -1, k, -1, -1, -1, k + 1, -1, -1, -1, -1, -1, -1, -1, -1);
  let pair = f64x2.add(v128.load(to), term(raisedPair(qa, places), wa, whole));
  if (four) {
    pair = f64x2.add(pair, term(raisedPair(qb, places), wb, whole));
    pair = f64x2.add(pair, term(raisedPair(qc, places), wc, whole));
    pair = f64x2.add(pair, term(raisedPair(qd, places), wd, whole));
  }
  v128.store(to, pair);
}

// @ts-ignore: decorator
@inline
function raisedPair(q: v128, places: v128): v128 {
  return f64x2.convert_low_i32x4_s(i8x16.swizzle(q, places));
}

/** Of each block scale^2 times the exact sum of squares, all in the first lane. */
// @ts-ignore: decorator
@inline
function squareWholes(scales: usize, numbers: usize, count: usize, nibbles: bool): bool {
  let total = load<f64>(LANES_AT);
  let zeros = i8x16.splat(0);
  for (let start: usize = 0; start < count; start += BLOCK) {
    const from = numbers + (nibbles ? start >> 1 : start);
    const size = count - start < BLOCK ? count - start : BLOCK;
    const even = size & ~15;
    let squares = i32x4.splat(0);
    let i: usize = 0;
    for (; i < even; i += 16) {
      let q: v128;
      if (nibbles) {
        const raw = nibblesOf(from + (i >> 1));
        zeros = v128.or(zeros, i8x16.eq(raw, i8x16.splat(0)));
        q = i8x16.sub(raw, i8x16.splat(8));
      } else {
        q = v128.load(from + i);
      }
      const low = i16x8.extend_low_i8x16_s(q);
      const high = i16x8.extend_high_i8x16_s(q);
      squares = i32x4.add(squares, i32x4.dot_i16x8_s(low, low));
      squares = i32x4.add(squares, i32x4.dot_i16x8_s(high, high));
    }
    let rest: i32 =
      i32x4.extract_lane(squares, 0) + i32x4.extract_lane(squares, 1) +
      i32x4.extract_lane(squares, 2) + i32x4.extract_lane(squares, 3);
    for (; i < size; i++) {
      const q = wholeAt(from, i, nibbles);
      if (nibbles && q == -8) zeros = i8x16.splat(1);
      rest += q * q;
    }
    const scale = f64(load<f32>(scales + (start / BLOCK) * 4));
    total += scale * scale * f64(rest);
  }
  store<f64>(LANES_AT, total);
  return !v128.any_true(zeros);
}

// ------------------------------------------------------------------------------ exports

/** Adds the squares of `count` numbers to the lanes; `count` is a multiple of 8 but for the last of a section. */
export function squareFloat32(at: usize, count: usize): void {
  squareFloats(at, count, false);
}
export function squareBfloat16(at: usize, count: usize): void {
  squareFloats(at, count, true);
}
/** @returns whether all of them may be */
export function squareInt8(scales: usize, numbers: usize, count: usize): bool {
  return squareWholes(scales, numbers, count, false);
}
export function squareInt4(scales: usize, numbers: usize, count: usize): bool {
  return squareWholes(scales, numbers, count, true);
}

/**
 * sum += factor * values, for the first so many deltas of the table, one after the other; "whole" rounds each product to
 * a whole number first. Scales and numbers are so many bytes from where each payload begins, at the beginning of a block.
 */
export function addFloat32(
  sum: usize, count: usize, scales: usize, numbers: usize, deltas: usize,
): void {
  addManyFloats(sum, count, numbers, deltas, false, false, false, 1);
}
export function addFloat32Whole(
  sum: usize, count: usize, scales: usize, numbers: usize, deltas: usize,
): void {
  addManyFloats(sum, count, numbers, deltas, false, true, false, 1);
}
export function addBfloat16(
  sum: usize, count: usize, scales: usize, numbers: usize, deltas: usize,
): void {
  addManyFloats(sum, count, numbers, deltas, true, false, false, 1);
}
export function addBfloat16Whole(
  sum: usize, count: usize, scales: usize, numbers: usize, deltas: usize,
): void {
  addManyFloats(sum, count, numbers, deltas, true, true, false, 1);
}
export function addInt8(
  sum: usize, count: usize, scales: usize, numbers: usize, deltas: usize,
): void {
  addManyWholes(sum, count, scales, numbers, deltas, false, false);
}
export function addInt8Whole(
  sum: usize, count: usize, scales: usize, numbers: usize, deltas: usize,
): void {
  addManyWholes(sum, count, scales, numbers, deltas, false, true);
}
export function addInt4(
  sum: usize, count: usize, scales: usize, numbers: usize, deltas: usize,
): void {
  addManyWholes(sum, count, scales, numbers, deltas, true, false);
}
export function addInt4Whole(
  sum: usize, count: usize, scales: usize, numbers: usize, deltas: usize,
): void {
  addManyWholes(sum, count, scales, numbers, deltas, true, true);
}

/**
 * Reads `count` gaps, LEB128, into indices above `previous`.
 * @returns where the next gap begins; 0 for what is no gap, or leads to no parameter
 */
export function readGaps(
  at: usize, end: usize, previous: i32, count: usize, parameters: u32, indices: usize,
): usize {
  let place = at;
  let index = i64(previous);
  for (let i: usize = 0; i < count; i++) {
    let gap: u64 = 0;
    let shift: u64 = 0;
    for (;;) {
      if (place >= end || shift > 28) return 0;
      const byte = u64(load<u8>(place++));
      gap |= (byte & 127) << shift;
      if (byte < 128) {
        // In as few bytes as it takes.
        if (byte == 0 && shift > 0) return 0;
        break;
      }
      shift += 7;
    }
    index += i64(gap) + 1;
    if (index >= i64(parameters)) return 0;
    store<u32>(indices + (i << 2), u32(index));
  }
  return place;
}

// @ts-ignore: decorator
@inline
function finish(bits: u32): u32 {
  let h = bits;
  h = (h ^ (h >> 16)) * 0x85ebca6b;
  h = (h ^ (h >> 13)) * 0xc2b2ae35;
  return h ^ (h >> 16);
}

/** One index of each stratum from `first` on, of `strata` in all: protocol/src/encoding/indices.ts. */
export function drawIndices(
  seed: u32, first: u32, count: u32, strata: u32, parameters: u32, indices: usize,
): void {
  for (let i: u32 = 0; i < count; i++) {
    const j = first + i;
    const start = u32((u64(j) * u64(parameters)) / u64(strata));
    const next = u32(((u64(j) + 1) * u64(parameters)) / u64(strata));
    const hash = finish(seed ^ finish(j + 0x9e3779b9));
    store<u32>(indices + (usize(i) << 2), start + (hash % (next - start)));
  }
}

/** sum[index] += term, one after the other. */
export function scatter(sum: usize, indices: usize, terms: usize, count: usize): void {
  for (let i: usize = 0; i < count; i++) {
    const to = sum + (usize(load<u32>(indices + (i << 2))) << 3);
    store<f64>(to, load<f64>(to) + load<f64>(terms + (i << 3)));
  }
}

/** sum = (sum + factor * values) / denominator, for the first so many deltas of the table. */
export function meanFloat32(
  sum: usize, count: usize, numbers: usize, deltas: usize, denominator: f64,
): void {
  addManyFloats(sum, count, numbers, deltas, false, false, true, denominator);
}

/** sum /= denominator. */
export function divide(sum: usize, count: usize, denominator: f64): void {
  const by = f64x2.splat(denominator);
  const even = count & ~3;
  let i: usize = 0;
  for (; i < even; i += 4) {
    const at = sum + (i << 3);
    v128.store(at, f64x2.div(v128.load(at), by));
    v128.store(at, f64x2.div(v128.load(at, 16), by), 16);
  }
  for (; i < count; i++) {
    const at = sum + (i << 3);
    store<f64>(at, load<f64>(at) / denominator);
  }
}

/** sum += values modulo 2^32: what masked updates are added by. */
export function addModular(sum: usize, values: usize, count: usize): void {
  const even = count & ~3;
  let i: usize = 0;
  for (; i < even; i += 4) {
    const to = sum + (i << 2);
    v128.store(to, i32x4.add(v128.load(to), v128.load(values + (i << 2))));
  }
  for (; i < count; i++) {
    const to = sum + (i << 2);
    store<u32>(to, load<u32>(to) + load<u32>(values + (i << 2)));
  }
}
