/**
 * Discrete Fourier transform of complex vectors whose length is a power of two, in place (Cooley and Tukey
 * 1965, radix 2). The forward transform leaves frequencies in bit-reversed order and the inverse expects
 * them there, so that nothing is ever permuted: all that is done between the two is pointwise.
 */

export interface FourierTransform {
  readonly size: number;
  /** Natural order in, bit-reversed order out. Not scaled. */
  forward(re: Float64Array, im: Float64Array): void;
  /** Bit-reversed order in, natural order out, divided by the size. */
  inverse(re: Float64Array, im: Float64Array): void;
}

/** @param size a power of two, 2 or more */
export function createFourierTransform(size: number): FourierTransform {
  if (!Number.isInteger(Math.log2(size)) || size < 2) {
    throw new RangeError(`the size must be a power of two, got ${size}`);
  }
  const cos = new Float64Array(size / 2);
  const sin = new Float64Array(size / 2);
  for (let k = 0; k < size / 2; k++) {
    cos[k] = Math.cos((2 * Math.PI * k) / size);
    sin[k] = Math.sin((2 * Math.PI * k) / size);
  }
  return {
    size,
    forward: (re, im) => {
      for (let half = size / 2, stride = 1; half >= 1; half /= 2, stride *= 2) {
        for (let start = 0; start < size; start += 2 * half) {
          for (let j = 0, k = 0; j < half; j++, k += stride) {
            const a = start + j;
            const b = a + half;
            const ar = re[a] as number;
            const ai = im[a] as number;
            const br = re[b] as number;
            const bi = im[b] as number;
            const c = cos[k] as number;
            const s = sin[k] as number;
            const dr = ar - br;
            const di = ai - bi;
            re[a] = ar + br;
            im[a] = ai + bi;
            re[b] = dr * c + di * s;
            im[b] = di * c - dr * s;
          }
        }
      }
    },
    inverse: (re, im) => {
      for (let half = 1, stride = size / 2; half < size; half *= 2, stride /= 2) {
        for (let start = 0; start < size; start += 2 * half) {
          for (let j = 0, k = 0; j < half; j++, k += stride) {
            const a = start + j;
            const b = a + half;
            const c = cos[k] as number;
            const s = sin[k] as number;
            const xr = re[b] as number;
            const xi = im[b] as number;
            const br = xr * c - xi * s;
            const bi = xi * c + xr * s;
            const ar = re[a] as number;
            const ai = im[a] as number;
            re[a] = ar + br;
            im[a] = ai + bi;
            re[b] = ar - br;
            im[b] = ai - bi;
          }
        }
      }
      for (let i = 0; i < size; i++) {
        re[i] = (re[i] as number) / size;
        im[i] = (im[i] as number) / size;
      }
    },
  };
}
