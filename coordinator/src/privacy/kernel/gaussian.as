// Box-Muller in float64 SIMD, in AssemblyScript. gaussian.ts says the same in TypeScript, with equations and error
// bounds, and gives the same bits; `npm run kernels` compiles this into gaussian-wasm.ts. No branch and no address
// depends on what is random or secret, so the time that it takes says nothing about them.

/** Memory: one page of random bytes, one page of sums. */
const RANDOM_AT: usize = 0;
const SUMS_AT: usize = 65536;

// @ts-ignore: decorator
@inline
function c(value: f64): v128 {
  return f64x2.splat(value);
}

/** a b + c, rounded twice: wasm has no fused product that is the same everywhere. */
// @ts-ignore: decorator
@inline
function product(a: v128, b: v128, plus: f64): v128 {
  return f64x2.add(f64x2.mul(a, b), c(plus));
}

/** Both words of the upper half, as the lower half. */
// @ts-ignore: decorator
@inline
function upper(words: v128): v128 {
  return v128.shuffle<i32>(words, words, 2, 3, 2, 3);
}

/** (n + 1/2) 2^-75 from 75 bits, rounded once to 53 of them. */
// @ts-ignore: decorator
@inline
function uniform(radiusWords: v128, angleLow: v128): v128 {
  const spare = f64x2.convert_low_i32x4_u(v128.and(angleLow, i32x4.splat(0x7ff)));
  const low = f64x2.convert_low_i32x4_u(upper(radiusWords));
  const high = f64x2.convert_low_i32x4_u(radiusWords);
  return f64x2.add(
    f64x2.mul(high, c(2.3283064365386963e-10)),
    f64x2.add(
      f64x2.mul(low, c(5.421010862427522e-20)),
      product(spare, c(2.6469779601696886e-23), 1.3234889800848443e-23),
    ),
  );
}

/** log u for u in [2^-76, 1]: fdlibm's e_log.c. */
// @ts-ignore: decorator
@inline
function log(u: v128): v128 {
  const shifted = i64x2.add(u, i64x2.splat(0x00095f6200000000));
  const k = f64x2.sub(
    v128.or(i64x2.shr_u(shifted, 52), i64x2.splat(0x4330000000000000)),
    c(4503599627371519.0),
  );
  const m = i64x2.add(
    v128.and(shifted, i64x2.splat(0x000fffffffffffff)),
    i64x2.splat(0x3fe6a09e00000000),
  );
  const f = f64x2.sub(m, c(1.0));
  const s = f64x2.div(f, f64x2.add(f, c(2.0)));
  const z = f64x2.mul(s, s);
  const w = f64x2.mul(z, z);
  let even = product(w, c(0.1531383769920937), 0.22222198432149784);
  even = product(w, even, 0.3999999999940942);
  let odd = product(w, c(0.14798198605116586), 0.1818357216161805);
  odd = product(w, odd, 0.2857142874366239);
  odd = product(w, odd, 0.6666666666666735);
  const r = f64x2.add(f64x2.mul(w, even), f64x2.mul(z, odd));
  const half = f64x2.mul(f64x2.mul(c(0.5), f), f);
  const correction = f64x2.add(
    f64x2.mul(s, f64x2.add(half, r)),
    f64x2.mul(k, c(1.9082149292705877e-10)),
  );
  return f64x2.sub(
    f64x2.mul(k, c(0.6931471803691238)),
    f64x2.sub(f64x2.sub(half, correction), f),
  );
}

/** An angle in units of pi/4: (2 n + 1) 2^-51 in (-1, 1) from 51 bits, exact. */
// @ts-ignore: decorator
@inline
function eighths(angleWords: v128, angleLow: v128): v128 {
  const low = f64x2.convert_low_i32x4_u(i32x4.shr_u(angleLow, 13));
  return f64x2.add(
    f64x2.mul(f64x2.convert_low_i32x4_s(angleWords), c(4.656612873077393e-10)),
    product(low, c(8.881784197001252e-16), 4.440892098500626e-16),
  );
}

/** sin(pi t / 4) / t, with z = t^2. */
// @ts-ignore: decorator
@inline
function sine(z: v128): v128 {
  let p = product(z, c(6.877360573166326e-12), -1.7571500746983935e-9);
  p = product(z, p, 3.133616225433416e-7);
  p = product(z, p, -0.00003657620415891387);
  p = product(z, p, 0.002490394570188844);
  p = product(z, p, -0.08074551218828054);
  return product(z, p, 0.7853981633974483);
}

/** cos(pi t / 4), with z = t^2. */
// @ts-ignore: decorator
@inline
function cosine(z: v128): v128 {
  let q = product(z, c(-3.863156948832656e-13), 1.1500679700940496e-10);
  q = product(z, q, -2.4611366238309744e-8);
  q = product(z, q, 3.590860447448612e-6);
  q = product(z, q, -0.0003259918869271996);
  q = product(z, q, 0.015854344243815488);
  q = product(z, q, -0.30842513753404244);
  return product(z, q, 1.0);
}

/** The cosine with a random sign, from bit 12. */
// @ts-ignore: decorator
@inline
function signed(cos: v128, angleLow: v128): v128 {
  const sign = i64x2.shl(i64x2.extend_low_i32x4_u(angleLow), 51);
  return v128.xor(cos, v128.and(sign, i64x2.splat(0x8000000000000000)));
}

/** All ones where sine and cosine change places, from bit 11. */
// @ts-ignore: decorator
@inline
function swap(angleLow: v128): v128 {
  const mask = i32x4.shr_s(i32x4.shl(angleLow, 20), 31);
  return v128.shuffle<i32>(mask, mask, 0, 0, 1, 1);
}

/** Adds to two sums, and never leaves -0; all ones where both are integers below 2^53 then. */
// @ts-ignore: decorator
@inline
function add(at: usize, noise: v128): v128 {
  const whole = f64x2.add(f64x2.nearest(noise), c(0.0));
  const noisy = f64x2.add(v128.load(SUMS_AT + at), whole);
  v128.store(SUMS_AT + at, noisy);
  return v128.and(
    f64x2.eq(f64x2.trunc(noisy), noisy),
    f64x2.lt(f64x2.abs(noisy), c(9007199254740992.0)),
  );
}

/**
 * Adds round(stddev N(0, 1)) to the first `samples` of the sums, a multiple of 8, and wipes the random bytes.
 * `scale` is -2 stddev^2. Returns 1 when all sums are integers below 2^53 then.
 * Two chains side by side, stage by stage, keep the processor busier than one.
 */
export function addGaussian(samples: i32, scale: f64): i32 {
  const zero = i64x2.splat(0);
  let fine = i64x2.splat(-1);
  const end = <usize>samples * 8;
  for (let at: usize = 0; at < end; at += 64) {
    const radiusWordsA = v128.load(RANDOM_AT + at);
    const angleWordsA = v128.load(RANDOM_AT + at, 16);
    const radiusWordsB = v128.load(RANDOM_AT + at, 32);
    const angleWordsB = v128.load(RANDOM_AT + at, 48);
    v128.store(RANDOM_AT + at, zero);
    v128.store(RANDOM_AT + at, zero, 16);
    v128.store(RANDOM_AT + at, zero, 32);
    v128.store(RANDOM_AT + at, zero, 48);
    const angleLowA = upper(angleWordsA);
    const angleLowB = upper(angleWordsB);
    const uA = uniform(radiusWordsA, angleLowA);
    const uB = uniform(radiusWordsB, angleLowB);
    const tA = eighths(angleWordsA, angleLowA);
    const tB = eighths(angleWordsB, angleLowB);
    const logA = log(uA);
    const logB = log(uB);
    const radiusA = f64x2.sqrt(f64x2.mul(logA, c(scale)));
    const radiusB = f64x2.sqrt(f64x2.mul(logB, c(scale)));
    const zA = f64x2.mul(tA, tA);
    const zB = f64x2.mul(tB, tB);
    const sinA = f64x2.mul(tA, sine(zA));
    const sinB = f64x2.mul(tB, sine(zB));
    const cosA = signed(cosine(zA), angleLowA);
    const cosB = signed(cosine(zB), angleLowB);
    const swapA = swap(angleLowA);
    const swapB = swap(angleLowB);
    fine = v128.and(fine, add(at, f64x2.mul(radiusA, v128.bitselect(sinA, cosA, swapA))));
    fine = v128.and(fine, add(at + 16, f64x2.mul(radiusA, v128.bitselect(cosA, sinA, swapA))));
    fine = v128.and(fine, add(at + 32, f64x2.mul(radiusB, v128.bitselect(sinB, cosB, swapB))));
    fine = v128.and(fine, add(at + 48, f64x2.mul(radiusB, v128.bitselect(cosB, sinB, swapB))));
  }
  return <i32>i64x2.all_true(fine);
}
