import { readFileSync } from "node:fs";

import { describe, expect, test } from "vitest";

import { discreteGaussian, fractionAbove } from "./discrete-gaussian.ts";
import { createSecureRandom } from "./random.ts";

interface Pmf {
  readonly sigma: number;
  readonly Z: number;
  readonly pmf: Readonly<Record<string, number>>;
  readonly variance: number;
}

const { meta } = JSON.parse(
  readFileSync(new URL("../../../test/vectors/discrete_gaussian.json", import.meta.url), "utf8"),
) as { meta: { pmf: readonly Pmf[] } };

const random = createSecureRandom();

/** The definition: exp(-x^2 / (2 s^2)) over its sum. */
function theory(stddev: number) {
  const weight = (x: number) => Math.exp(-(x ** 2) / (2 * stddev ** 2));
  const end = Math.ceil(20 * stddev);
  let total = 0;
  let squares = 0;
  for (let x = -end; x <= end; x++) {
    total += weight(x);
    squares += x * x * weight(x);
  }
  return { at: (x: number) => weight(x) / total, total, variance: squares / total };
}

function draw(count: number, stddev: number): Float64Array {
  const { sample } = discreteGaussian(stddev, random);
  return Float64Array.from({ length: count }, sample);
}

/** Asked of fresh samples a second time before a test fails: by chance once in 10^7 runs. */
const isLikely = (once: () => boolean): boolean => once() || once();

/** Is Pearson's statistic within 3.9 deviations (Wilson and Hilferty 1931) for cells of five or more? */
function fits(samples: Float64Array, stddev: number): boolean {
  const { at } = theory(stddev);
  const n = samples.length;
  let end = 0;
  while (n * at(end + 1) >= 5) end += 1;
  const counts = new Map<number, number>();
  let beyond = 0;
  for (const sample of samples) {
    if (Math.abs(sample) > end) beyond += 1;
    else counts.set(sample, (counts.get(sample) ?? 0) + 1);
  }
  let statistic = 0;
  let inside = 0;
  for (let x = -end; x <= end; x++) {
    inside += at(x);
    statistic += ((counts.get(x) ?? 0) - n * at(x)) ** 2 / (n * at(x));
  }
  const outside = n * (1 - inside);
  const freedom = 2 * end;
  const z =
    (Math.cbrt(statistic / freedom) - (1 - 2 / (9 * freedom))) / Math.sqrt(2 / (9 * freedom));
  return z < 3.9 && beyond <= outside + 4 * Math.sqrt(outside) + 12;
}

describe("the discrete Gaussian", () => {
  test("[NS4] the reference probabilities are those of the definition, to 1e-12", () => {
    for (const { sigma, pmf, Z, variance } of meta.pmf) {
      const { at, total, variance: expected } = theory(sigma);
      for (const [x, probability] of Object.entries(pmf)) {
        expect(Math.abs(at(Number(x)) - probability)).toBeLessThan(1e-12);
      }
      expect(Math.abs(total / Z - 1)).toBeLessThan(1e-12);
      expect(Math.abs(expected / variance - 1)).toBeLessThan(1e-12);
    }
  });

  test("[NS4] samples have these probabilities, of deviations from 0.25 to 64 and between whole numbers", () => {
    for (const stddev of [0.25, 0.5, 0.7, 1, 1.3, 2, 3, 7.77, 10, 64]) {
      expect(
        isLikely(() => fits(draw(150_000, stddev), stddev)),
        `stddev ${stddev}`,
      ).toBe(true);
    }
  });

  test("[NS4] at the grid's deviations it has their moments, all the way a normal distribution, and every residue", () => {
    for (const stddev of [2 ** 20, 1_048_577.03, 1.5 * 2 ** 20, 2 ** 21 + 5e3, 2 ** 30]) {
      const once = () => {
        const samples = draw(100_000, stddev).sort();
        const n = samples.length;
        let [sum, squares, fourths, odd, distance] = [0, 0, 0, 0, 0];
        samples.forEach((sample, i) => {
          const x = sample / stddev;
          sum += x;
          squares += x ** 2;
          fourths += x ** 4;
          odd += Math.abs(sample % 2);
          distance = Math.max(distance, Math.abs((i + 0.5) / n - normal(x)) + 0.5 / n);
        });
        return (
          Math.abs(sum / n) < 3.9 / Math.sqrt(n) &&
          Math.abs(squares / n - 1) < 3.9 * Math.sqrt(2 / n) &&
          Math.abs(fourths / n - 3) < 3.9 * Math.sqrt(96 / n) &&
          Math.abs(odd / n - 0.5) < 3.9 * Math.sqrt(0.25 / n) &&
          // Kolmogorov: 2 exp(-2 n d^2) = 1e-4.
          distance < Math.sqrt(Math.log(2e4) / (2 * n))
        );
      };
      expect(isLikely(once), `stddev ${stddev}`).toBe(true);
    }
  });

  test("[NS4] a deviation is rounded up to a fraction, by 2^-30 at most, and never down", () => {
    for (let i = 0; i < 2_000; i++) {
      const stddev = 2 ** (-9 + (39 * i) / 2_000);
      const { numerator, denominator } = fractionAbove(stddev);
      expect(Number.isInteger(numerator) && numerator <= 2 ** 31).toBe(true);
      expect(numerator / denominator).toBeGreaterThanOrEqual(stddev);
      expect(numerator / denominator / stddev - 1).toBeLessThanOrEqual(2 ** -30);
      expect(discreteGaussian(stddev, random).stddev).toBe(numerator / denominator);
    }
    expect(fractionAbove(3)).toEqual({ numerator: 3 * 2 ** 29, denominator: 2 ** 29 });
  });

  test("[NS4] a deviation that cannot be sampled exactly is refused", () => {
    for (const bad of [0, -1, 2 ** -33, 2 ** 31, Number.NaN, Infinity]) {
      expect(() => discreteGaussian(bad, random)).toThrow("stddev must be between");
    }
  });

  test("[NS6] its random words are wiped when they have been used", () => {
    let pool: Uint8Array = new Uint8Array(0);
    const { sample } = discreteGaussian(3, {
      fill: (target) => {
        pool = target;
        random.fill(target);
      },
    });
    for (let i = 0; i < 100; i++) sample();
    // Some 20 words for each of them.
    expect(pool.subarray(0, 1_000).every((byte) => byte === 0)).toBe(true);
    expect(pool.some((byte) => byte !== 0)).toBe(true);
  });
});

/** The normal distribution function, to 1e-7 (Abramowitz and Stegun 7.1.26): far below what n samples tell. */
function normal(x: number): number {
  const t = 1 / (1 + (0.3275911 * Math.abs(x)) / Math.SQRT2);
  const tail =
    (t *
      (0.254829592 +
        t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429)))) *
      Math.exp((-x * x) / 2)) /
    2;
  return x > 0 ? 1 - tail : tail;
}
