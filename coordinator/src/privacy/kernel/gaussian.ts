/**
 * Whole-numbered Gaussian noise by Box and Muller 1958, in double precision, eight samples from 64 random bytes:
 * what gaussian.as computes with SIMD, with the same bits, for engines without it and for readers.
 *
 *     u = (n + 1/2) 2^-75, n of 75 bits     t = (2 m + 1) 2^-51 - 1, m of 51 bits
 *     r = stddev sqrt(-2 log u)             x, y = r cos(pi t / 4), r sin(pi t / 4) in a random octant (2 bits)
 *     sum += round(x), sum += round(y)
 *
 * How far this is from round(N(0, stddev^2)), N normal, stddev = S steps; e = 2^-53:
 *
 * - Rounding: log is within 2 e (fdlibm), so r is within 2.5 e; sine and cosine are within 2 e of 1, their product
 *   with r adds e. Together |x' - x| <= 2^-50 r + 2^-54 S^2 / r, the latter from u's own 53 bits near 1 (held against
 *   60 digits in test/vectors/box_muller.json).
 * - So the probability of each whole number k, |k| <= 8 S, is off by a factor within 1 +- 2 * 2^-50 E[r | k]: for
 *   S = 2^20 root mean square 2^-28.5, at most 2^-25.8. Twice the S, twice that.
 * - Tail: |x| reaches S sqrt(2 * 76 * log 2) = 10.2 S; what lies beyond has a probability of 2e-24. Beyond 8 S (1e-15)
 *   the few values of u begin to show: probabilities are off by 1e-7 at 8.3 S, 1e-3 at 9 S, a quarter at 10 S, by
 *   summing over all u. That moves 2e-20 of probability in all.
 * - Every whole number up to 10 S can come out: a step has some 2^30 values of t for each u.
 */

/** Samples of one batch: 64 KB of random bytes, at which generators are fastest. */
export const BATCH = 8_192;
export const BYTES_PER_SAMPLE = 8;

/** Memory for a batch, and the function that works on it. */
export interface GaussianKernel {
  readonly name: "simd" | "plain";
  /** To be filled with fresh random bytes before each call of `add`, which wipes them. */
  readonly random: Uint8Array;
  readonly sums: Float64Array;
  /**
   * Adds a whole number to each of the first `samples` sums, a multiple of 8.
   * @returns whether all of them are whole numbers below 2^53 then
   */
  add(samples: number, stddev: number): boolean;
}

const LOG_EVEN = [0.1531383769920937, 0.22222198432149784, 0.3999999999940942];
const LOG_ODD = [0.14798198605116586, 0.1818357216161805, 0.2857142874366239, 0.6666666666666735];
const LN2_HIGH = 0.6931471803691238;
const LN2_LOW = 1.9082149292705877e-10;
/** Of z = t^2, highest first: Chebyshev in 50 digits, then rounded; 2^-54.9 and 2^-55.5. */
const SINE = [
  6.877360573166326e-12, -1.7571500746983935e-9, 3.133616225433416e-7, -0.00003657620415891387,
  0.002490394570188844, -0.08074551218828054, 0.7853981633974483,
];
const COSINE = [
  -3.863156948832656e-13, 1.1500679700940496e-10, -2.4611366238309744e-8, 3.590860447448612e-6,
  -0.0003259918869271996, 0.015854344243815488, -0.30842513753404244, 1,
];

function polynomial(coefficients: readonly number[], z: number): number {
  let value = coefficients[0] as number;
  for (let i = 1; i < coefficients.length; i++) value = z * value + (coefficients[i] as number);
  return value;
}

const bits = new DataView(new ArrayBuffer(8));

/** log u for u in [2^-76, 1] within 2^-52: fdlibm's e_log.c, the order of its operations included. */
export function logOf(u: number): number {
  bits.setFloat64(0, u);
  const shifted = bits.getUint32(0) + 0x0009_5f62;
  const k = (shifted >>> 20) - 1_023;
  bits.setUint32(0, (shifted & 0x000f_ffff) + 0x3fe6_a09e);
  const f = bits.getFloat64(0) - 1;
  const s = f / (f + 2);
  const z = s * s;
  const w = z * z;
  const r = w * polynomial(LOG_EVEN, w) + z * polynomial(LOG_ODD, w);
  const half = 0.5 * f * f;
  return k * LN2_HIGH - (half - (s * (half + r) + k * LN2_LOW) - f);
}

/** sin(pi t / 4) for |t| <= 1. */
export const sineOf = (t: number): number => t * polynomial(SINE, t * t);
/** cos(pi t / 4) for |t| <= 1. */
export const cosineOf = (t: number): number => polynomial(COSINE, t * t);

/** A pair of normal values, not yet rounded, from four random words. */
export function pairOf(
  scale: number,
  [radiusHigh, radiusLow, angleHigh, angleLow]: readonly [number, number, number, number],
): readonly [number, number] {
  const spare = angleLow & 0x7ff;
  const u = radiusHigh * 2 ** -32 + (radiusLow * 2 ** -64 + (spare * 2 ** -75 + 2 ** -76));
  const t = (angleHigh | 0) * 2 ** -31 + ((angleLow >>> 13) * 2 ** -50 + 2 ** -51);
  const radius = Math.sqrt(logOf(u) * scale);
  const sin = sineOf(t);
  const cos = (angleLow & 0x1000) === 0 ? cosineOf(t) : -cosineOf(t);
  return (angleLow & 0x800) === 0 ? [radius * cos, radius * sin] : [radius * sin, radius * cos];
}

/** To the nearest whole number, ties to the even one, never -0: a sum of zeros must not tell whose sign it had. */
function nearest(x: number): number {
  const up = Math.round(x);
  return (up - x === 0.5 && up % 2 !== 0 ? up - 1 : up) + 0;
}

export function createPlainKernel(): GaussianKernel {
  const random = new Uint8Array(BATCH * BYTES_PER_SAMPLE);
  const sums = new Float64Array(BATCH);
  const words = new DataView(random.buffer);
  return {
    name: "plain",
    random,
    sums,
    add: (samples, stddev) => {
      const scale = -2 * stddev * stddev;
      let fine = true;
      const put = (at: number, noise: number) => {
        const noisy = (sums[at] as number) + nearest(noise);
        sums[at] = noisy;
        if (!Number.isSafeInteger(noisy)) fine = false;
      };
      for (let at = 0; at < samples; at += 4) {
        // Two pairs: their high words lie side by side, then their low words, as SIMD wants them.
        for (let lane = 0; lane < 2; lane++) {
          const word = (i: number) =>
            words.getUint32(BYTES_PER_SAMPLE * at + 8 * i + 4 * lane, true);
          const [x, y] = pairOf(scale, [word(0), word(1), word(2), word(3)]);
          put(at + lane, x);
          put(at + 2 + lane, y);
        }
      }
      random.fill(0, 0, samples * BYTES_PER_SAMPLE);
      return fine;
    },
  };
}
