// Sums of encoded deltas in float64 SIMD, in AssemblyScript. plain.ts says the same in TypeScript and gives the same
// bits; `npm run kernels` compiles this into sums-wasm.ts. Every element is decoded where it is added: no vector of
// float32 numbers is made of a quantised update. Four deltas in one pass are added one after the other to each
// element, so that how many go together changes no bit.

/** Eight sums of squares: element i of a dense section belongs to lane i mod 8. */
const LANES_AT: usize = 0;
/** Values that share a scale. */
const BLOCK: usize = 1024;

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
  if (half) return i32x4.shl(i32x4.extend_low_i16x8_u(v128.load64_zero(at + (i << 1))), 16);
  return v128.load(at + (i << 2));
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

// ------------------------------------------------------------------------------ floats

// @ts-ignore: decorator
@inline
function addFloats(
  sum: usize, count: usize,
  a: usize, b: usize, c: usize, d: usize,
  fa: f64, fb: f64, fc: f64, fd: f64,
  half: bool, whole: bool, four: bool,
): void {
  const wa = f64x2.splat(fa);
  const wb = f64x2.splat(fb);
  const wc = f64x2.splat(fc);
  const wd = f64x2.splat(fd);
  const even = count & ~3;
  let i: usize = 0;
  for (; i < even; i += 4) {
    const to = sum + (i << 3);
    let x = floats(a, i, half);
    let low = f64x2.add(v128.load(to), term(f64x2.promote_low_f32x4(x), wa, whole));
    let high = f64x2.add(v128.load(to, 16), term(f64x2.promote_low_f32x4(upper(x)), wa, whole));
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
    store<f64>(to, total);
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
    const x = floats(at, i, half);
    const y = floats(at, i + 4, half);
    const a = f64x2.promote_low_f32x4(x);
    const b = f64x2.promote_low_f32x4(upper(x));
    const c = f64x2.promote_low_f32x4(y);
    const d = f64x2.promote_low_f32x4(upper(y));
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
function addWholes(
  sum: usize, count: usize, scales: usize, numbers: usize,
  a: usize, b: usize, c: usize, d: usize,
  fa: f64, fb: f64, fc: f64, fd: f64,
  nibbles: bool, whole: bool, four: bool,
): void {
  for (let start: usize = 0; start < count; start += BLOCK) {
    const scale = scales + (start / BLOCK) * 4;
    const from = numbers + (nibbles ? start >> 1 : start);
    const sa = fa * f64(load<f32>(a + scale));
    let sb: f64 = 0;
    let sc: f64 = 0;
    let sd: f64 = 0;
    if (four) {
      sb = fb * f64(load<f32>(b + scale));
      sc = fc * f64(load<f32>(c + scale));
      sd = fd * f64(load<f32>(d + scale));
    }
    const wa = f64x2.splat(sa);
    const wb = f64x2.splat(sb);
    const wc = f64x2.splat(sc);
    const wd = f64x2.splat(sd);
    const size = count - start < BLOCK ? count - start : BLOCK;
    const even = size & ~15;
    let i: usize = 0;
    for (; i < even; i += 16) {
      const to = sum + ((start + i) << 3);
      const qa = wholes(a + from, i, nibbles);
      const qb = four ? wholes(b + from, i, nibbles) : qa;
      const qc = four ? wholes(c + from, i, nibbles) : qa;
      const qd = four ? wholes(d + from, i, nibbles) : qa;
      addEight(
        to, i16x8.extend_low_i8x16_s(qa), i16x8.extend_low_i8x16_s(qb),
        i16x8.extend_low_i8x16_s(qc), i16x8.extend_low_i8x16_s(qd), wa, wb, wc, wd, whole, four,
      );
      addEight(
        to + 64, i16x8.extend_high_i8x16_s(qa), i16x8.extend_high_i8x16_s(qb),
        i16x8.extend_high_i8x16_s(qc), i16x8.extend_high_i8x16_s(qd), wa, wb, wc, wd, whole, four,
      );
    }
    for (; i < size; i++) {
      const to = sum + ((start + i) << 3);
      let total = load<f64>(to) + termOf(f64(wholeAt(a + from, i, nibbles)), sa, whole);
      if (four) {
        total += termOf(f64(wholeAt(b + from, i, nibbles)), sb, whole);
        total += termOf(f64(wholeAt(c + from, i, nibbles)), sc, whole);
        total += termOf(f64(wholeAt(d + from, i, nibbles)), sd, whole);
      }
      store<f64>(to, total);
    }
  }
}

// @ts-ignore: decorator
@inline
function addEight(
  to: usize, qa: v128, qb: v128, qc: v128, qd: v128,
  wa: v128, wb: v128, wc: v128, wd: v128, whole: bool, four: bool,
): void {
  addQuad(
    to, i32x4.extend_low_i16x8_s(qa), i32x4.extend_low_i16x8_s(qb),
    i32x4.extend_low_i16x8_s(qc), i32x4.extend_low_i16x8_s(qd), wa, wb, wc, wd, whole, four,
  );
  addQuad(
    to + 32, i32x4.extend_high_i16x8_s(qa), i32x4.extend_high_i16x8_s(qb),
    i32x4.extend_high_i16x8_s(qc), i32x4.extend_high_i16x8_s(qd), wa, wb, wc, wd, whole, four,
  );
}

// @ts-ignore: decorator
@inline
function addQuad(
  to: usize, qa: v128, qb: v128, qc: v128, qd: v128,
  wa: v128, wb: v128, wc: v128, wd: v128, whole: bool, four: bool,
): void {
  let low = f64x2.add(v128.load(to), term(f64x2.convert_low_i32x4_s(qa), wa, whole));
  let high = f64x2.add(v128.load(to, 16), term(f64x2.convert_low_i32x4_s(upper(qa)), wa, whole));
  if (four) {
    low = f64x2.add(low, term(f64x2.convert_low_i32x4_s(qb), wb, whole));
    high = f64x2.add(high, term(f64x2.convert_low_i32x4_s(upper(qb)), wb, whole));
    low = f64x2.add(low, term(f64x2.convert_low_i32x4_s(qc), wc, whole));
    high = f64x2.add(high, term(f64x2.convert_low_i32x4_s(upper(qc)), wc, whole));
    low = f64x2.add(low, term(f64x2.convert_low_i32x4_s(qd), wd, whole));
    high = f64x2.add(high, term(f64x2.convert_low_i32x4_s(upper(qd)), wd, whole));
  }
  v128.store(to, low);
  v128.store(to, high, 16);
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

/** sum += factor * values, of one delta or of four; "whole" rounds each product to a whole number first. */
export function addFloat32(sum: usize, count: usize, a: usize, fa: f64): void {
  addFloats(sum, count, a, a, a, a, fa, fa, fa, fa, false, false, false);
}
export function addFloat32s(
  sum: usize, count: usize, a: usize, b: usize, c: usize, d: usize,
  fa: f64, fb: f64, fc: f64, fd: f64,
): void {
  addFloats(sum, count, a, b, c, d, fa, fb, fc, fd, false, false, true);
}
export function addFloat32Whole(sum: usize, count: usize, a: usize, fa: f64): void {
  addFloats(sum, count, a, a, a, a, fa, fa, fa, fa, false, true, false);
}
export function addFloat32sWhole(
  sum: usize, count: usize, a: usize, b: usize, c: usize, d: usize,
  fa: f64, fb: f64, fc: f64, fd: f64,
): void {
  addFloats(sum, count, a, b, c, d, fa, fb, fc, fd, false, true, true);
}
export function addBfloat16(sum: usize, count: usize, a: usize, fa: f64): void {
  addFloats(sum, count, a, a, a, a, fa, fa, fa, fa, true, false, false);
}
export function addBfloat16s(
  sum: usize, count: usize, a: usize, b: usize, c: usize, d: usize,
  fa: f64, fb: f64, fc: f64, fd: f64,
): void {
  addFloats(sum, count, a, b, c, d, fa, fb, fc, fd, true, false, true);
}
export function addBfloat16Whole(sum: usize, count: usize, a: usize, fa: f64): void {
  addFloats(sum, count, a, a, a, a, fa, fa, fa, fa, true, true, false);
}
export function addBfloat16sWhole(
  sum: usize, count: usize, a: usize, b: usize, c: usize, d: usize,
  fa: f64, fb: f64, fc: f64, fd: f64,
): void {
  addFloats(sum, count, a, b, c, d, fa, fb, fc, fd, true, true, true);
}

/** The same of numbers with scales, both at so many bytes from the place of each delta; from a block's beginning. */
export function addInt8(
  sum: usize, count: usize, scales: usize, numbers: usize, a: usize, fa: f64,
): void {
  addWholes(sum, count, scales, numbers, a, a, a, a, fa, fa, fa, fa, false, false, false);
}
export function addInt8s(
  sum: usize, count: usize, scales: usize, numbers: usize,
  a: usize, b: usize, c: usize, d: usize, fa: f64, fb: f64, fc: f64, fd: f64,
): void {
  addWholes(sum, count, scales, numbers, a, b, c, d, fa, fb, fc, fd, false, false, true);
}
export function addInt8Whole(
  sum: usize, count: usize, scales: usize, numbers: usize, a: usize, fa: f64,
): void {
  addWholes(sum, count, scales, numbers, a, a, a, a, fa, fa, fa, fa, false, true, false);
}
export function addInt8sWhole(
  sum: usize, count: usize, scales: usize, numbers: usize,
  a: usize, b: usize, c: usize, d: usize, fa: f64, fb: f64, fc: f64, fd: f64,
): void {
  addWholes(sum, count, scales, numbers, a, b, c, d, fa, fb, fc, fd, false, true, true);
}
export function addInt4(
  sum: usize, count: usize, scales: usize, numbers: usize, a: usize, fa: f64,
): void {
  addWholes(sum, count, scales, numbers, a, a, a, a, fa, fa, fa, fa, true, false, false);
}
export function addInt4s(
  sum: usize, count: usize, scales: usize, numbers: usize,
  a: usize, b: usize, c: usize, d: usize, fa: f64, fb: f64, fc: f64, fd: f64,
): void {
  addWholes(sum, count, scales, numbers, a, b, c, d, fa, fb, fc, fd, true, false, true);
}
export function addInt4Whole(
  sum: usize, count: usize, scales: usize, numbers: usize, a: usize, fa: f64,
): void {
  addWholes(sum, count, scales, numbers, a, a, a, a, fa, fa, fa, fa, true, true, false);
}
export function addInt4sWhole(
  sum: usize, count: usize, scales: usize, numbers: usize,
  a: usize, b: usize, c: usize, d: usize, fa: f64, fb: f64, fc: f64, fd: f64,
): void {
  addWholes(sum, count, scales, numbers, a, b, c, d, fa, fb, fc, fd, true, true, true);
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
