/**
 * What one run of a mechanism says about its epsilon, at the least (Steinke, Nasr, Jagielski 2023, "Privacy
 * Auditing with One (1) Training Run", arXiv:2305.08846, Theorem 5.2). Each of m canaries is in the run by a fair
 * coin of its own; whoever sees what was released guesses r of the coins, and v guesses are right. Under
 * (epsilon, delta) the number of right guesses is stochastically below that of r coins of bias
 * q = e^epsilon / (1 + e^epsilon), but for a term of delta:
 *
 *     P[V >= v]  <=  P[B >= v] + 2 m delta max_{1 <= i <= v} P[v > B >= v - i] / i,    B ~ Binomial(r, q)
 *
 * An epsilon under which what was seen is less probable than `errorRate` is refuted.
 */

export interface Guesses {
  /** m: canaries, each in by a fair coin. */
  readonly canaries: number;
  /** r: guesses that were made; which canaries to guess may depend on all that was released. */
  readonly guesses: number;
  /** v: guesses that were right. */
  readonly correct: number;
}

/** The bound on P[V >= v] under (epsilon, delta), at most 1. */
export function probabilityBound(
  { canaries, guesses, correct }: Guesses,
  epsilon: number,
  delta: number,
): number {
  const bias = 1 / (1 + Math.exp(-epsilon));
  const mass = binomial(guesses, bias);
  let beta = 0;
  // The smallest terms first.
  for (let k = guesses; k >= correct; k--) beta += mass[k] as number;
  let alpha = 0;
  let between = 0;
  for (let i = 1; i <= correct; i++) {
    between += mass[correct - i] as number;
    alpha = Math.max(alpha, between / i);
  }
  return Math.min(1, beta + 2 * canaries * delta * alpha);
}

/** The largest epsilon (to 1e-6) that is refuted at `delta` but for a chance of `errorRate`; 0 where none is. */
export function epsilonLowerBound(found: Guesses, delta: number, errorRate: number): number {
  const isRefuted = (epsilon: number) => probabilityBound(found, epsilon, delta) < errorRate;
  if (!isRefuted(0)) return 0;
  let refuted = 0;
  let open = 1;
  while (isRefuted(open)) [refuted, open] = [open, 2 * open];
  while (open - refuted > 1e-6) {
    const middle = (refuted + open) / 2;
    if (isRefuted(middle)) refuted = middle;
    else open = middle;
  }
  return refuted;
}

/** P[B = k] for k = 0 … n, from the mode outwards by ratios, so that nothing overflows. */
function binomial(n: number, p: number): Float64Array {
  const mass = new Float64Array(n + 1);
  const mode = Math.min(n, Math.floor((n + 1) * p));
  mass[mode] = 1;
  let total = 1;
  for (let k = mode + 1; k <= n; k++) {
    mass[k] = (mass[k - 1] as number) * (((n - k + 1) / k) * (p / (1 - p)));
    total += mass[k] as number;
  }
  for (let k = mode - 1; k >= 0; k--) {
    mass[k] = (mass[k + 1] as number) * (((k + 1) / (n - k)) * ((1 - p) / p));
    total += mass[k] as number;
  }
  return mass.map((share) => share / total);
}
