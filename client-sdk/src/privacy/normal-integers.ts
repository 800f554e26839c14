/**
 * Normal noise in whole numbers, from the platform's cryptographic generator (Web Crypto, in browsers and Node).
 * There is no seed: nobody can predict it or draw it twice.
 */

/** Numbers per call of the generator, which gives at most 64 KiB at once; each pair takes 16 bytes. */
const AT_ONCE = 8_192;
const WORDS_PER_PAIR = 4;

/**
 * Adds round(N) to each integer, N independent normal of mean 0 and standard deviation `stddev` (Box and
 * Muller 1958). The radius comes from 64 random bits and ends at sqrt(2 ln 2^65) < `NOISE_REACH` deviations, at a
 * chance of 2^-65: far below any delta, also over millions of numbers.
 * @throws RangeError when `stddev` is not positive and finite
 */
export function addNormalIntegers(integers: Int32Array, stddev: number): void {
  if (!(stddev > 0 && stddev < Infinity)) {
    throw new RangeError(`the noise needs a standard deviation > 0, got ${stddev}`);
  }
  for (let start = 0; start < integers.length; start += AT_ONCE) {
    const end = Math.min(integers.length, start + AT_ONCE);
    const words = new Uint32Array(WORDS_PER_PAIR * Math.ceil((end - start) / 2));
    crypto.getRandomValues(words);
    for (let i = start, at = 0; i < end; i += 2, at += WORDS_PER_PAIR) {
      const high = words[at] as number;
      const low = words[at + 1] as number;
      // In (0, 1], never 0, so that the logarithm is finite.
      const uniform = (high * 2 ** 32 + (low + 0.5)) * 2 ** -64;
      const turn =
        ((words[at + 2] as number) * 2 ** 21 + ((words[at + 3] as number) >>> 11)) / 2 ** 53;
      const radius = stddev * Math.sqrt(-2 * Math.log(uniform));
      const angle = 2 * Math.PI * turn;
      integers[i] = (integers[i] as number) + Math.round(radius * Math.cos(angle));
      if (i + 1 < end) {
        integers[i + 1] = (integers[i + 1] as number) + Math.round(radius * Math.sin(angle));
      }
    }
    // What was used is not kept.
    words.fill(0);
  }
}
