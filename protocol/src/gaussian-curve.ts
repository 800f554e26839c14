/**
 * The exact privacy curve of one Gaussian release whose sensitivity is mu standard deviations (Balle and Wang
 * 2018, "Improving the Gaussian Mechanism for Differential Privacy", Theorem 8):
 *
 *     delta(eps) = Phi(-a) - e^eps Phi(-b),   a = eps / mu - mu / 2,   b = eps / mu + mu / 2
 *
 * Releases compose exactly (Dong, Roth and Su 2022, "Gaussian Differential Privacy", Corollary 3.3): several of
 * mu_1, mu_2 … are together one of mu = sqrt(mu_1^2 + mu_2^2 + …), whether or not the later ones were chosen
 * with knowledge of the earlier ones' outcomes. Both ends account with it: a client for what it sends itself.
 */

/** delta of the curve at epsilon >= 0. @param mu > 0 */
export function deltaOfGaussian(mu: number, epsilon: number): number {
  const a = epsilon / mu - mu / 2;
  const b = epsilon / mu + mu / 2;
  // e^eps phi(b) = phi(a): what both terms have in common is taken out, and no digit is lost far out.
  if (a > 0) return Math.exp(-0.5 * a * a) * 0.5 * (scaledErfc(a) - scaledErfc(b));
  return Math.max(0, 1 - halfErfc(-a) - Math.exp(-0.5 * a * a) * 0.5 * scaledErfc(b));
}

/** The epsilon >= 0 at which the curve passes `delta`; never below it. @param mu >= 0 */
export function epsilonOfGaussian(mu: number, delta: number): number {
  if (mu === 0 || deltaOfGaussian(mu, 0) <= delta) return 0;
  let low = 0;
  let high = 1;
  while (deltaOfGaussian(mu, high) > delta) {
    low = high;
    high *= 2;
    if (high === Infinity) return Infinity;
  }
  for (let i = 0; i < 200 && high - low > 1e-14 * high; i++) {
    const middle = low + (high - low) / 2;
    if (deltaOfGaussian(mu, middle) > delta) low = middle;
    else high = middle;
  }
  return high;
}

/**
 * The greatest mu, to rounding, at which epsilon and delta hold: 1 / mu is the least standard deviation of the
 * noise for a sensitivity of 1. Never above the exact value. The classical sqrt(2 ln(1.25 / delta)) / epsilon is
 * wasteful below epsilon = 1 and proves nothing above it.
 * @param epsilon > 0
 * @param delta in (0, 1)
 */
export function muOfGaussian(epsilon: number, delta: number): number {
  let low = 1;
  while (deltaOfGaussian(low, epsilon) > delta) low /= 2;
  let high = 2 * low;
  while (deltaOfGaussian(high, epsilon) <= delta) {
    low = high;
    high *= 2;
  }
  for (let i = 0; i < 200 && high - low > 1e-15 * high; i++) {
    const middle = low + (high - low) / 2;
    if (deltaOfGaussian(middle, epsilon) > delta) high = middle;
    else low = middle;
  }
  return low;
}

const halfErfc = (x: number) => 0.5 * Math.exp(-0.5 * x * x) * scaledErfc(x);

/** e^(x^2 / 2) erfc(x / sqrt 2) for x >= 0: twice the normal's upper tail at x without its bell. */
function scaledErfc(deviations: number): number {
  const x = deviations / Math.SQRT2;
  if (x < 0.5) {
    // erf(x) = 2 / sqrt(pi) e^(-x^2) sum of 2^n x^(2n + 1) / (2n + 1)!!: no term is negative.
    let term = x;
    let sum = x;
    for (let n = 1; term > 1e-17 * sum; n++) {
      term *= (2 * x * x) / (2 * n + 1);
      sum += term;
    }
    return Math.exp(x * x) - (2 / Math.sqrt(Math.PI)) * sum;
  }
  if (x > 8) {
    // Laplace's continued fraction.
    let fraction = 0;
    for (let k = 60; k >= 1; k--) fraction = k / 2 / (x + fraction);
    return 1 / (Math.sqrt(Math.PI) * (x + fraction));
  }
  // erfc(x) = 2 / pi int_0^(pi/2) exp(-x^2 / sin^2 t) dt (Craig 1991). The integrand is periodic and flat at 0,
  // so the trapezoidal rule is exact to rounding.
  const points = 400;
  let sum = 0.5;
  for (let i = 1; i < points; i++) {
    const cotangent = 1 / Math.tan((Math.PI / 2) * (i / points));
    sum += Math.exp(-x * x * cotangent * cotangent);
  }
  return sum / points;
}
