import { describe, expect, test } from "vitest";

import { addGaussianNoise, centralGaussian } from "./gaussian-mechanism.ts";
import { createSecureRandom, uniformFrom } from "./random.ts";

const random = createSecureRandom();

/** Mean and standard deviation around 0. */
function measure(samples: Float64Array) {
  let squares = 0;
  let sum = 0;
  for (const sample of samples) {
    squares += sample * sample;
    sum += sample;
  }
  const n = samples.length;
  return { mean: sum / n, stddev: Math.sqrt(squares / n) };
}

/**
 * Are the samples' mean and standard deviation within the 99.99 % intervals of N(0, stddev^2)? Asked a
 * second time of fresh samples before a test fails, so that it fails by chance once in 10^7 runs.
 */
function looksNormal(draw: () => Float64Array, stddev: number): boolean {
  const once = () => {
    const samples = draw();
    const measured = measure(samples);
    const n = samples.length;
    return (
      Math.abs(measured.stddev / stddev - 1) < 3.9 / Math.sqrt(2 * n) &&
      Math.abs(measured.mean) < (3.9 * stddev) / Math.sqrt(n)
    );
  };
  return once() || once();
}

function noise(length: number, stddev: number): Float64Array {
  const sum = new Float64Array(length);
  addGaussianNoise(sum, stddev, random);
  return sum;
}

describe("the Gaussian mechanism", () => {
  test("[DP5] the noise has the standard deviation it is asked for, at 0.1, 1 and 10", () => {
    for (const stddev of [0.1, 1, 10]) {
      expect(
        looksNormal(() => noise(200_001, stddev), stddev),
        `stddev ${stddev}`,
      ).toBe(true);
    }
  });

  test("[DP5] what there is no noise on is not left without: each element of any length has its own", () => {
    for (const length of [1, 2, 3, 8_191, 8_192, 8_193, 16_385]) {
      const samples = noise(length, 1);
      expect(samples.every((sample) => sample !== 0)).toBe(true);
      expect(new Set(samples).size).toBe(length);
    }
  });

  test("[DP5] its tails are those of a normal distribution, and neighbours are independent", () => {
    const samples = noise(400_000, 1);
    for (const [bound, share] of [
      [1, 0.317310508],
      [2, 0.045500264],
      [3, 0.002699796],
    ] as const) {
      const beyond = samples.filter((sample) => Math.abs(sample) > bound).length / samples.length;
      expect(Math.abs(beyond - share)).toBeLessThan(
        4.5 * Math.sqrt((share * (1 - share)) / samples.length),
      );
    }
    let product = 0;
    const pairs = samples.length / 2;
    for (let i = 0; i < 2 * pairs; i += 2) product += samples[i]! * samples[i + 1]!;
    expect(Math.abs(product / pairs)).toBeLessThan(4.5 / Math.sqrt(pairs));
  });

  test("[DP6] noise goes on the sum, z times C, and the denominator is fixed", () => {
    const mechanism = centralGaussian({ clippingNorm: 2, noiseMultiplier: 3, expectedReports: 10 });
    expect(mechanism.sumNoiseStddev).toBe(6);
    expect(mechanism.meanNoiseStddev).toBeCloseTo(0.6, 12);
    // The sum of 0, 3 and 10 clients that all sent the same: the noise is the same, and so is the divisor.
    for (const responders of [0, 3, 10]) {
      const sum = new Float64Array(100_000).fill(2 * responders);
      const residue = () =>
        mechanism.release(sum, random).map((mean) => mean - (2 * responders) / 10);
      expect(looksNormal(residue, 0.6), `${responders} responders`).toBe(true);
      expect(sum[0]).toBe(2 * responders);
    }
  });

  test("[DP7] nothing is released from what is not finite, or under senseless options", () => {
    const mechanism = centralGaussian({ clippingNorm: 1, noiseMultiplier: 1, expectedReports: 1 });
    for (const bad of [Number.NaN, Infinity]) {
      expect(() => mechanism.release(Float64Array.of(1, bad), random)).toThrow("finite");
    }
    const broken = Float64Array.of(1, Number.NaN);
    const never = {
      bytes: () => {
        throw new Error("noise was drawn for a sum that cannot be released");
      },
    };
    expect(() => addGaussianNoise(broken, 1, never)).toThrow("finite");
    expect([...broken]).toEqual([1, Number.NaN]);
    const huge = Float64Array.of(Number.MAX_VALUE, -Number.MAX_VALUE);
    const tiny = { clippingNorm: 1, noiseMultiplier: 1, expectedReports: 1e-3 };
    expect(() => centralGaussian(tiny).release(huge, random)).toThrow("finite");
    for (const bad of [-1, Number.NaN, Infinity]) {
      expect(() => addGaussianNoise(new Float64Array(2), bad, random)).toThrow("sumNoiseStddev");
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
  test("[DP8] two coordinators never add the same noise", () => {
    const draw = () => {
      const sum = new Float64Array(1_000);
      addGaussianNoise(sum, 1, createSecureRandom());
      return [...sum];
    };
    expect(new Set([...draw(), ...draw(), ...draw()]).size).toBe(3_000);
  });

  test("[DP8] a source that hands out views of a pool gives its own bytes, a short one gives no noise", () => {
    const pool = new Uint8Array(4_096);
    pool.set(random.bytes(64), 100);
    const pooled = { bytes: (count: number) => pool.subarray(100, 100 + count) };
    const copied = { bytes: (count: number) => pool.slice(100, 100 + count) };
    const [a, b] = [new Float64Array(8), new Float64Array(8)];
    addGaussianNoise(a, 1, pooled);
    addGaussianNoise(b, 1, copied);
    expect(a).toEqual(b);
    expect(uniformFrom(pooled).next()).toBe(uniformFrom(copied).next());
    const short = { bytes: () => new Uint8Array(4) };
    expect(() => addGaussianNoise(a, 1, short)).toThrow("random bytes");
  });

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
