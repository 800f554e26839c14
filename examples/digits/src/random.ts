/** Seeded random numbers, so that an experiment can be run again. Never for privacy. */

export interface SeededRandom {
  /** A number in [0, 1). */
  uniform(): number;
  /** An integer in [0, bound). */
  below(bound: number): number;
  /** Standard normal. */
  normal(): number;
  /** Gamma with shape `alpha` > 0 and scale 1 (Marsaglia and Tsang 2000). */
  gamma(alpha: number): number;
  /** Permutes in place (Fisher-Yates) and returns the same array. */
  shuffle<T extends number[] | Uint32Array>(items: T): T;
}

/** Mulberry32 started from a mix of the numbers: streams of their own for (seed, purpose, …). */
export function createSeededRandom(...seeds: readonly number[]): SeededRandom {
  let state = 0x9e3779b9;
  for (const seed of seeds) {
    state = Math.imul(state ^ (seed >>> 0), 0x85ebca6b);
    state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35) ^ (state >>> 16);
  }

  const uniform = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (bound: number) => Math.floor(uniform() * bound);
  const normal = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());

  const gamma = (alpha: number): number => {
    // For alpha < 1: Gamma(alpha) = Gamma(alpha + 1) * U^(1 / alpha).
    if (alpha < 1) return gamma(alpha + 1) * (1 - uniform()) ** (1 / alpha);
    const d = alpha - 1 / 3;
    const c = 1 / Math.sqrt(9 * d);
    for (;;) {
      const x = normal();
      const v = (1 + c * x) ** 3;
      if (v > 0 && Math.log(1 - uniform()) < 0.5 * x * x + d - d * v + d * Math.log(v)) {
        return d * v;
      }
    }
  };

  const shuffle = <T extends number[] | Uint32Array>(items: T): T => {
    for (let i = items.length - 1; i > 0; i--) {
      const j = below(i + 1);
      const kept = items[i] as number;
      items[i] = items[j] as number;
      items[j] = kept;
    }
    return items;
  };

  return { uniform, below, normal, gamma, shuffle };
}
