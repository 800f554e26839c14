import { readFileSync } from "node:fs";

import { clipToNorm } from "@tributary/protocol";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

import {
  bitOfNorm,
  deltaNoiseMultiplier,
  halvesNoiseStddev,
  nextClippingNorm,
  shareBelow,
} from "./adaptive-clipping.ts";

interface Split {
  noise_multiplier: number;
  clipped_count_stddev: number;
  value_noise_multiplier: number;
}
interface Update {
  clip: number;
  noisy_fraction_below: number;
  target_quantile: number;
  lr: number;
  new_clip: number;
}
/** Computed with the formulas of TensorFlow Federated; the file says which. */
const { meta, vectors } = JSON.parse(
  readFileSync(new URL("../../../test/vectors/adaptive_clipping.json", import.meta.url), "utf8"),
) as { meta: { updates: Update[] }; vectors: Split[] };

const unbounded = { minNorm: Number.MIN_VALUE, maxNorm: Number.MAX_VALUE };

describe("the split of the noise", () => {
  test("[AC1] is that of independent code", () => {
    expect(vectors).toHaveLength(8);
    for (const row of vectors) {
      const split = {
        noiseMultiplier: row.noise_multiplier,
        bitNoiseStddev: row.clipped_count_stddev,
      };
      const ratio = deltaNoiseMultiplier(split) / row.value_noise_multiplier;
      expect(Math.abs(ratio - 1)).toBeLessThanOrEqual(1e-12);
    }
  });

  test("[AC1] one client, whatever it sends, moves deltas and bit together by at most 1 / z deviations", () => {
    const finite = fc.double({ min: -1e3, max: 1e3, noNaN: true });
    fc.assert(
      fc.property(
        fc.double({ min: 0.05, max: 20, noNaN: true }),
        fc.double({ min: 0.51, max: 1e4, noNaN: true }),
        fc.double({ min: 1e-3, max: 1e3, noNaN: true }),
        fc.array(finite, { minLength: 1, maxLength: 6 }),
        (noiseMultiplier, ratio, clippingNorm, given) => {
          const split = { noiseMultiplier, bitNoiseStddev: ratio * noiseMultiplier };
          const delta = Float64Array.from(given);
          const bit = bitOfNorm(clipToNorm(delta, clippingNorm), clippingNorm);
          const sumNoise = deltaNoiseMultiplier(split) * clippingNorm;
          const moved = Math.hypot(
            ...delta.map((value) => value / sumNoise),
            bit / halvesNoiseStddev(split),
          );
          expect(moved).toBeLessThanOrEqual((1 / noiseMultiplier) * (1 + 1e-9));
        },
      ),
    );
    // And no less: a delta on the ball uses up all that was paid.
    const split = { noiseMultiplier: 1, bitNoiseStddev: 5 };
    const used = Math.hypot(1 / deltaNoiseMultiplier(split), 1 / halvesNoiseStddev(split));
    expect(used).toBeCloseTo(1, 14);
  });

  test("[AC1] bits that would cost z or more leave nothing to the deltas and are refused", () => {
    for (const [noiseMultiplier, bitNoiseStddev] of [
      [1, 0.5],
      [1, 0.4],
      [1, 0],
      [0, 1],
      [-1, 1],
      [1, -1],
      [1, Infinity],
      [Infinity, Infinity],
      [Number.NaN, 1],
      [1, Number.NaN],
    ] as const) {
      expect(() => deltaNoiseMultiplier({ noiseMultiplier, bitNoiseStddev })).toThrow(RangeError);
    }
    expect(
      deltaNoiseMultiplier({ noiseMultiplier: 1, bitNoiseStddev: 0.5 + 2 ** -40 }),
    ).toBeGreaterThan(1e5);
  });
});

describe("the next norm", () => {
  test("[AC2] is that of independent code", () => {
    expect(meta.updates).toHaveLength(6);
    for (const { clip, noisy_fraction_below, target_quantile, lr, new_clip } of meta.updates) {
      const next = nextClippingNorm(clip, noisy_fraction_below, {
        ...unbounded,
        targetQuantile: target_quantile,
        learningRate: lr,
      });
      expect(Math.abs(next / new_clip - 1)).toBeLessThanOrEqual(1e-12);
    }
  });

  test("[AC2] falls where more norms than wanted are below, grows where fewer are, and never leaves its bounds", () => {
    const positive = fc.double({ min: 1e-6, max: 1e6, noNaN: true });
    fc.assert(
      fc.property(
        positive,
        fc.double({ min: -5, max: 5, noNaN: true }),
        fc.double({ min: 0.01, max: 0.99, noNaN: true }),
        positive,
        fc.double({ min: 1, max: 1e6, noNaN: true }),
        (clippingNorm, share, targetQuantile, minNorm, width) => {
          const maxNorm = minNorm * width;
          const options = { targetQuantile, learningRate: 0.2 };
          const free = nextClippingNorm(clippingNorm, share, { ...options, ...unbounded });
          if (share > targetQuantile + 1e-9) expect(free).toBeLessThan(clippingNorm);
          if (share < targetQuantile - 1e-9) expect(free).toBeGreaterThan(clippingNorm);
          const kept = nextClippingNorm(clippingNorm, share, { ...options, minNorm, maxNorm });
          expect(kept).toBe(Math.min(maxNorm, Math.max(minNorm, free)));
        },
      ),
    );
  });

  test("[AC2] nothing that is no number moves the norm", () => {
    const options = { targetQuantile: 0.5, learningRate: 0.2, minNorm: 0.1, maxNorm: 10 };
    for (const bad of [Number.NaN, Infinity, -Infinity]) {
      expect(() => nextClippingNorm(1, bad, options)).toThrow("finite");
    }
    expect(() => nextClippingNorm(Number.NaN, 0.5, options)).toThrow("next clipping norm");
    expect(() => bitOfNorm(Number.NaN, 1)).toThrow("finite");
    expect(() => bitOfNorm(Infinity, 1)).toThrow("finite");
  });
});

describe("the count", () => {
  test("[AC3] says the share of norms at or below C, and who is absent moves it neither way", () => {
    const halves = (norms: readonly number[]) =>
      norms.reduce((sum, norm) => sum + bitOfNorm(norm, 1), 0);
    expect(shareBelow(halves([0, 0.5, 1, 2]), 4)).toBe(0.75);
    expect(shareBelow(halves([2, 2]), 2)).toBe(0);
    expect(shareBelow(halves([0.5, 2]), 100)).toBe(0.5);
    expect(shareBelow(halves([]), 100)).toBe(0.5);
  });

  test("[AC3] one client more or less moves it by half a client", () => {
    for (const norm of [0, 1, 1.5]) {
      expect(Math.abs(shareBelow(bitOfNorm(norm, 1), 1) - shareBelow(0, 1))).toBe(0.5);
    }
  });
});

describe("in the long run", () => {
  /** Uniform numbers that are the same in every run: mulberry32 (Tommy Ettinger). */
  function uniforms(seed: number): () => number {
    let state = seed;
    return () => {
      state = (state + 0x6d2b79f5) | 0;
      let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed);
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
    };
  }

  /** C after `rounds` rounds of 100 log-normal norms around `median`, with the noise on. */
  function follow(start: number, median: number, targetQuantile: number, seed: number) {
    const next = uniforms(seed);
    const normal = () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
    const expected = 100;
    const split = { noiseMultiplier: 1, bitNoiseStddev: 0.05 * expected };
    let clippingNorm = start;
    for (let round = 0; round < 250; round++) {
      let halves = Math.round(halvesNoiseStddev(split) * normal());
      // Poisson sampling: how many come is random, the denominator is not.
      for (let client = 0; client < 1_000; client++) {
        if (next() < 0.1) halves += bitOfNorm(median * Math.exp(normal()), clippingNorm);
      }
      clippingNorm = nextClippingNorm(clippingNorm, shareBelow(halves, expected), {
        ...{ targetQuantile, learningRate: 0.2, minNorm: 1e-4, maxNorm: 1e4 },
      });
    }
    return clippingNorm;
  }

  test.each([0.01, 1, 100])(
    "[AC4] from %d the norm reaches the wanted quantile to within 5 % of the clients",
    (start) => {
      for (const [targetQuantile, deviations] of [
        [0.25, -0.6744897501960817],
        [0.5, 0],
        [0.8, 0.8416212335729143],
      ] as const) {
        const median = 0.7;
        const clippingNorm = follow(start, median, targetQuantile, 17);
        // The share that is below C: 5 % of all clients more or less is this far in deviations, at most.
        const reached = Math.log(clippingNorm / median);
        expect(Math.abs(phi(reached) - phi(deviations))).toBeLessThanOrEqual(0.05);
      }
    },
  );
});

/** The normal distribution function, by Simpson's rule. */
function phi(x: number): number {
  const steps = 400;
  const width = x / steps;
  const density = (at: number) => Math.exp((-at * at) / 2) / Math.sqrt(2 * Math.PI);
  let sum = density(0) + density(x);
  for (let i = 1; i < steps; i++) sum += (i % 2 === 0 ? 2 : 4) * density(i * width);
  return 0.5 + (sum * width) / 3;
}
