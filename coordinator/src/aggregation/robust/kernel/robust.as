// What robust rules do with a tile of updates, in SIMD, in AssemblyScript. robust.ts says the same in TypeScript;
// `npm run kernels` compiles this into robust-wasm.ts. A tile has one row for each update and one column for each
// parameter, in float32; rows are `stride` bytes apart, and columns come in blocks of 32, the last of them filled up
// with zeros.

/** Bytes of a block of columns, which stays in the first cache for as many rows as one round has. */
const BLOCK: usize = 128;
/** Bytes over which float32 sums run before they are added in float64: 64 terms for each lane. */
const CHUNK: usize = 1024;

/** Whether no number of the rows is NaN or infinite: of such, and of them alone, 0 times it is not 0. */
export function areFinite(tile: usize, stride: usize, rows: i32, bytes: usize): i32 {
  let zeros = f32x4.splat(0);
  for (let row = 0; row < rows; row++) {
    const start = tile + <usize>row * stride;
    for (let at = start; at < start + bytes; at += 16) {
      zeros = f32x4.add(zeros, f32x4.mul(v128.load(at), f32x4.splat(0)));
    }
  }
  return <i32>i32x4.all_true(f32x4.eq(zeros, f32x4.splat(0)));
}

// @ts-ignore: decorator
@inline
function exchange(a: usize, b: usize): void {
  const x = v128.load(a);
  const y = v128.load(b);
  v128.store(a, f32x4.pmin(x, y));
  v128.store(b, f32x4.pmax(x, y));
}

/** All columns of one block through the network: pairs of offsets of rows, the smaller value to the first. */
// @ts-ignore: decorator
@inline
function sortBlock(block: usize, network: usize, end: usize): void {
  for (let at = network; at < end; at += 8) {
    const a = block + <usize>load<u32>(at);
    const b = block + <usize>load<u32>(at, 4);
    exchange(a, b);
    exchange(a + 16, b + 16);
    exchange(a + 32, b + 32);
    exchange(a + 48, b + 48);
    exchange(a + 64, b + 64);
    exchange(a + 80, b + 80);
    exchange(a + 96, b + 96);
    exchange(a + 112, b + 112);
  }
}

/**
 * out = of each column the mean of the values whose ranks are `trim` to rows - trim - 1. The network must bring these to
 * the rows of these numbers, in whatever order. Leaves the tile disordered.
 */
export function trimmedMean(
  tile: usize,
  stride: usize,
  rows: i32,
  bytes: usize,
  network: usize,
  networkEnd: usize,
  trim: i32,
  out: usize,
): void {
  const share = f64x2.splat(1.0 / <f64>(rows - 2 * trim));
  const first = tile + <usize>trim * stride;
  const last = tile + <usize>(rows - trim - 1) * stride;
  for (let column: usize = 0; column < bytes; column += BLOCK) {
    sortBlock(tile + column, network, networkEnd);
    for (let at = column; at < column + BLOCK; at += 16) {
      let low = f64x2.splat(0);
      let high = f64x2.splat(0);
      for (let row = first + at; row <= last + at; row += stride) {
        const values = v128.load(row);
        low = f64x2.add(low, f64x2.promote_low_f32x4(values));
        high = f64x2.add(high, f64x2.promote_low_f32x4(upper(values)));
      }
      v128.store(out + 2 * at, f64x2.mul(low, share));
      v128.store(out + 2 * at, f64x2.mul(high, share), 16);
    }
  }
}

// @ts-ignore: decorator
@inline
function upper(values: v128): v128 {
  return v128.shuffle<i32>(values, values, 2, 3, 2, 3);
}

/** out = keep * out + the sum of weights[row] * row. */
export function combine(
  tile: usize,
  stride: usize,
  rows: i32,
  bytes: usize,
  weights: usize,
  keep: f64,
  out: usize,
): void {
  for (let at: usize = 0; at < bytes; at += 32) {
    let a = f64x2.mul(v128.load(out + 2 * at), f64x2.splat(keep));
    let b = f64x2.mul(v128.load(out + 2 * at, 16), f64x2.splat(keep));
    let c = f64x2.mul(v128.load(out + 2 * at, 32), f64x2.splat(keep));
    let d = f64x2.mul(v128.load(out + 2 * at, 48), f64x2.splat(keep));
    let row = tile + at;
    for (let i = 0; i < rows; i++) {
      const weight = v128.load64_splat(weights + <usize>i * 8);
      const x = v128.load(row);
      const y = v128.load(row, 16);
      a = f64x2.add(a, f64x2.mul(weight, f64x2.promote_low_f32x4(x)));
      b = f64x2.add(b, f64x2.mul(weight, f64x2.promote_low_f32x4(upper(x))));
      c = f64x2.add(c, f64x2.mul(weight, f64x2.promote_low_f32x4(y)));
      d = f64x2.add(d, f64x2.mul(weight, f64x2.promote_low_f32x4(upper(y))));
      row += stride;
    }
    v128.store(out + 2 * at, a);
    v128.store(out + 2 * at, b, 16);
    v128.store(out + 2 * at, c, 32);
    v128.store(out + 2 * at, d, 48);
  }
}

/** distances[row] += |row - out|^2. */
export function addDistances(
  tile: usize,
  stride: usize,
  rows: i32,
  bytes: usize,
  out: usize,
  distances: usize,
): void {
  for (let i = 0; i < rows; i++) {
    const row = tile + <usize>i * stride;
    let a = f64x2.splat(0);
    let b = f64x2.splat(0);
    for (let at: usize = 0; at < bytes; at += 16) {
      const x = v128.load(row + at);
      const p = f64x2.sub(f64x2.promote_low_f32x4(x), v128.load(out + 2 * at));
      const q = f64x2.sub(f64x2.promote_low_f32x4(upper(x)), v128.load(out + 2 * at, 16));
      a = f64x2.add(a, f64x2.mul(p, p));
      b = f64x2.add(b, f64x2.mul(q, q));
    }
    const sum = f64x2.add(a, b);
    const to = distances + <usize>i * 8;
    store<f64>(to, load<f64>(to) + f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1));
  }
}

// @ts-ignore: decorator
@inline
function addTo(pair: usize, sums: v128): void {
  const low = f64x2.promote_low_f32x4(sums);
  const sum = f64x2.add(low, f64x2.promote_low_f32x4(upper(sums)));
  store<f64>(
    pair,
    load<f64>(pair) + (f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1)),
  );
}

// @ts-ignore: decorator
@inline
function squared(x: v128, y: v128): v128 {
  const d = f32x4.sub(x, y);
  return f32x4.mul(d, d);
}

// @ts-ignore: decorator
@inline
function addPair(a: usize, b: usize, bytes: usize, pair: usize): void {
  for (let chunk: usize = 0; chunk < bytes; chunk += CHUNK) {
    const end = chunk + min(CHUNK, bytes - chunk);
    let sums = f32x4.splat(0);
    for (let at = chunk; at < end; at += 16) {
      sums = f32x4.add(sums, squared(v128.load(a + at), v128.load(b + at)));
    }
    addTo(pair, sums);
  }
}

/** Rows a, a2 against four rows from b on: every row is loaded once for four or two pairs. */
// @ts-ignore: decorator
@inline
function addEightPairs(
  a: usize,
  a2: usize,
  b: usize,
  stride: usize,
  bytes: usize,
  pair: usize,
  pair2: usize,
): void {
  for (let chunk: usize = 0; chunk < bytes; chunk += CHUNK) {
    const end = chunk + min(CHUNK, bytes - chunk);
    let s0 = f32x4.splat(0);
    let s1 = f32x4.splat(0);
    let s2 = f32x4.splat(0);
    let s3 = f32x4.splat(0);
    let t0 = f32x4.splat(0);
    let t1 = f32x4.splat(0);
    let t2 = f32x4.splat(0);
    let t3 = f32x4.splat(0);
    for (let at = chunk; at < end; at += 16) {
      const x = v128.load(a + at);
      const y = v128.load(a2 + at);
      let other = b + at;
      const b0 = v128.load(other);
      s0 = f32x4.add(s0, squared(x, b0));
      t0 = f32x4.add(t0, squared(y, b0));
      other += stride;
      const b1 = v128.load(other);
      s1 = f32x4.add(s1, squared(x, b1));
      t1 = f32x4.add(t1, squared(y, b1));
      other += stride;
      const b2 = v128.load(other);
      s2 = f32x4.add(s2, squared(x, b2));
      t2 = f32x4.add(t2, squared(y, b2));
      other += stride;
      const b3 = v128.load(other);
      s3 = f32x4.add(s3, squared(x, b3));
      t3 = f32x4.add(t3, squared(y, b3));
    }
    addTo(pair, s0);
    addTo(pair + 8, s1);
    addTo(pair + 16, s2);
    addTo(pair + 24, s3);
    addTo(pair2, t0);
    addTo(pair2 + 8, t1);
    addTo(pair2 + 16, t2);
    addTo(pair2 + 24, t3);
  }
}

/**
 * pairs += |row i - row j|^2 for all j < i, at place i (i - 1) / 2 + j. Differences are taken one by one and squared;
 * norms and products would cancel where updates are alike. A pair's sum does not depend on which rows it has.
 */
export function addPairs(tile: usize, stride: usize, rows: i32, bytes: usize, pairs: usize): void {
  for (let i = 0; i < rows; i += 2) {
    const a = tile + <usize>i * stride;
    const pair = pairs + <usize>((i * (i - 1)) >> 1) * 8;
    const hasSecond = i + 1 < rows;
    const a2 = a + stride;
    const pair2 = pair + <usize>i * 8;
    let j = 0;
    if (hasSecond) {
      for (; j + 4 <= i; j += 4) {
        const b = tile + <usize>j * stride;
        const to = <usize>j * 8;
        addEightPairs(a, a2, b, stride, bytes, pair + to, pair2 + to);
      }
    }
    for (; j < i; j++) {
      const b = tile + <usize>j * stride;
      addPair(a, b, bytes, pair + <usize>j * 8);
      if (hasSecond) addPair(a2, b, bytes, pair2 + <usize>j * 8);
    }
    if (hasSecond) addPair(a2, a, bytes, pair2 + <usize>i * 8);
  }
}
