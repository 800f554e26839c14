/** Logarithms of the special functions that Renyi accounting needs, to about 1e-14 relative. */

/** Lanczos approximation, g = 7, n = 9 (coefficients of P. Godfrey). */
const LANCZOS = [
  0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313,
  -176.61502916214059, 12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6,
  1.5056327351493116e-7,
] as const;

/** log |Gamma(x)| and the sign of Gamma(x). */
export function logGamma(x: number): { readonly log: number; readonly sign: number } {
  if (x < 0.5) {
    // Reflection: Gamma(x) Gamma(1 - x) = pi / sin(pi x)
    const sine = Math.sin(Math.PI * x);
    return { log: Math.log(Math.PI / Math.abs(sine)) - logGamma(1 - x).log, sign: Math.sign(sine) };
  }
  const shifted = x - 1;
  const t = shifted + 7.5;
  let series: number = LANCZOS[0];
  for (let i = 1; i < LANCZOS.length; i++) series += (LANCZOS[i] as number) / (shifted + i);
  return {
    log: 0.5 * Math.log(2 * Math.PI) + (shifted + 0.5) * Math.log(t) - t + Math.log(series),
    sign: 1,
  };
}

/** log erfc(x): Taylor series near 0, continued fraction (Lentz) in the tail. */
export function logErfc(x: number): number {
  if (x < -2) return Math.log(2 - Math.exp(logErfc(-x)));
  if (x < 2) return Math.log1p(-erfSeries(x));
  // erfc(x) = exp(-x^2) / sqrt(pi) / (x + (1/2) / (x + 1 / (x + (3/2) / (x + …))))
  let fraction = x;
  let c = x;
  let d = 0;
  for (let k = 1; k < 500; k++) {
    d = 1 / (x + (k / 2) * d);
    c = x + k / 2 / c;
    const change = c * d;
    fraction *= change;
    if (Math.abs(change - 1) < 1e-16) break;
  }
  return -x * x - 0.5 * Math.log(Math.PI) - Math.log(fraction);
}

function erfSeries(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; n < 100; n++) {
    term *= -(x * x) / n;
    const next = term / (2 * n + 1);
    sum += next;
    if (Math.abs(next) < 1e-17 * Math.abs(sum)) break;
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

/** log(exp(a) + exp(b)). */
export function logAdd(a: number, b: number): number {
  const [low, high] = a < b ? [a, b] : [b, a];
  return low === -Infinity ? high : high + Math.log1p(Math.exp(low - high));
}

/** log(exp(a) - exp(b)) for a >= b. */
export function logSubtract(a: number, b: number): number {
  if (b === -Infinity) return a;
  return a === b ? -Infinity : a + Math.log1p(-Math.exp(b - a));
}
