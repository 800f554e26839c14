import { describe, expect, test } from "vitest";

import { addGaussianNoise, centralGaussian } from "./gaussian-mechanism.ts";
import { createSecureRandom, uniformFrom } from "./random.ts";

const random = createSecureRandom();

/** Standard deviation around 0 of n samples, and the interval a chi-square of n gives it in 99.99 %. */
function measure(samples: Float64Array) {
  let squares = 0;
  let sum = 0;
  for (const sample of samples) {
    squares += sample * sample;
    sum += sample;
  }
  const n = samples.length;
  const slack = 3.9 / Math.sqrt(2 * n);
  return { mean: sum / n, stddev: Math.sqrt(squares / n), slack };
}

describe("the Gaussian mechanism", () => {
  test("[DP5] the noise has the standard deviation it is asked for, at 0.1, 1 and 10", () => {
    for (const stddev of [0.1, 1, 10]) {
      const noise = new Float64Array(200_001);
      addGaussianNoise(noise, stddev, random);
      const measured = measure(noise);
      expect(Math.abs(measured.stddev / stddev - 1)).toBeLessThan(measured.slack);
      expect(Math.abs(measured.mean)).toBeLessThan((3.9 * stddev) / Math.sqrt(noise.length));
    }
  });

  test("[DP5] its tails are those of a normal distribution, and neighbours are independent", () => {
    const noise = new Float64Array(400_000);
    addGaussianNoise(noise, 1, random);
    for (const [bound, share] of [
      [1, 0.317310508],
      [2, 0.045500264],
      [3, 0.002699796],
    ] as const) {
      const beyond = noise.filter((sample) => Math.abs(sample) > bound).length / noise.length;
      expect(Math.abs(beyond - share)).toBeLessThan(
        4.5 * Math.sqrt((share * (1 - share)) / noise.length),
      );
    }
    let product = 0;
    for (let i = 0; i + 1 < noise.length; i += 2) product += noise[i]! * noise[i + 1]!;
    expect(Math.abs(product / (noise.length / 2))).toBeLessThan(4.5 / Math.sqrt(noise.length / 2));
  });

  test("[DP6] noise goes on the sum, z times C, and the denominator is fixed", () => {
    const mechanism = centralGaussian({ clippingNorm: 2, noiseMultiplier: 3, expectedReports: 10 });
    expect(mechanism.sumNoiseStddev).toBe(6);
    expect(mechanism.meanNoiseStddev).toBeCloseTo(0.6, 12);
    for (const sum of [0, 1_000]) {
      const mean = mechanism.release(new Float64Array(100_000).fill(sum), random);
      const measured = measure(mean.map((value) => value - sum / 10));
      expect(Math.abs(measured.stddev / 0.6 - 1)).toBeLessThan(measured.slack);
    }
  });

  test("[DP7] nothing is released from what is not finite, or under senseless options", () => {
    const mechanism = centralGaussian({ clippingNorm: 1, noiseMultiplier: 1, expectedReports: 1 });
    for (const bad of [Number.NaN, Infinity]) {
      expect(() => mechanism.release(Float64Array.of(1, bad), random)).toThrow("finite");
    }
    for (const bad of [0, -1, Number.NaN, Infinity]) {
      expect(() =>
        centralGaussian({ clippingNorm: bad, noiseMultiplier: 1, expectedReports: 1 }),
      ).toThrow();
      expect(() =>
        centralGaussian({ clippingNorm: 1, noiseMultiplier: bad, expectedReports: 1 }),
      ).toThrow();
      expect(() =>
        centralGaussian({ clippingNorm: 1, noiseMultiplier: 1, expectedReports: bad }),
      ).toThrow();
    }
  });
});

describe("randomness", () => {
  test("[DP8] no two instances, and no two calls, give the same bytes", () => {
    const seen = new Set<string>();
    for (let i = 0; i < 50; i++) {
      const fresh = createSecureRandom();
      for (let k = 0; k < 4; k++) seen.add(Buffer.from(fresh.bytes(16)).toString("hex"));
    }
    expect(seen.size).toBe(200);
  });

  test("[DP8] bytes and uniforms are uniform, also across chunks", () => {
    const counts = new Array<number>(256).fill(0);
    for (const byte of random.bytes(1_000_003)) counts[byte]! += 1;
    const expected = 1_000_003 / 256;
    const chiSquare = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    // 255 degrees of freedom: 99.9999 % of such sums lie between
    expect(chiSquare).toBeGreaterThan(155);
    expect(chiSquare).toBeLessThan(381);
    const uniform = uniformFrom(random);
    const samples = Array.from({ length: 50_000 }, () => uniform.next());
    expect(Math.min(...samples)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...samples)).toBeLessThan(1);
    const mean = samples.reduce((sum, sample) => sum + sample, 0) / samples.length;
    expect(Math.abs(mean - 0.5)).toBeLessThan(4.5 / Math.sqrt(12 * samples.length));
  });
});
