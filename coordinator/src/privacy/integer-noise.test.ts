import { describe, expect, test } from "vitest";

import { otherTurns } from "../thread.ts";
import { createIntegerNoise } from "./integer-noise.ts";
import { createSecureRandom } from "./random.ts";

const random = createSecureRandom();
const noise = createIntegerNoise(random, otherTurns);

async function draw(length: number, stddev: number): Promise<Float64Array> {
  const sum = new Float64Array(length);
  await noise.add(sum, stddev);
  return sum;
}

/**
 * Are the samples' mean and standard deviation within the 99.99 % intervals of N(0, stddev^2)? Asked a
 * second time of fresh samples before a test fails, so that it fails by chance once in 10^7 runs.
 */
async function looksNormal(samples: () => Promise<Float64Array>, stddev: number): Promise<boolean> {
  const once = async () => {
    let [n, total, squares] = [0, 0, 0];
    for (const sample of await samples()) {
      n += 1;
      total += sample;
      squares += sample * sample;
    }
    return (
      // Chi-square with n degrees of freedom, which is normal for so many.
      Math.abs(Math.sqrt(squares / n) / stddev - 1) < 3.9 / Math.sqrt(2 * n) &&
      Math.abs(total / n) < (3.9 * stddev) / Math.sqrt(n)
    );
  };
  return (await once()) || once();
}

describe("noise in whole numbers", () => {
  test("[DP5] it has the standard deviation it is asked for, of 10 steps and of 2^20, 2^21 and 2^40", async () => {
    for (const stddev of [10, 2 ** 20, 2 ** 21, 2 ** 40]) {
      // Rounding itself has a variance of 1/12.
      const expected = Math.sqrt(stddev ** 2 + 1 / 12);
      expect(await looksNormal(() => draw(200_001, stddev), expected), `stddev ${stddev}`).toBe(
        true,
      );
    }
  });

  test("[DP5] of small deviations the probability of each number is that of the rounded Gaussian", async () => {
    // P(0) and P(+-1) of round(N(0, s^2)), from the error function.
    for (const [stddev, none, one] of [
      [0.5, 0.6826894921, 0.3146103387],
      [1, 0.3829249225, 0.4834606846],
    ] as const) {
      const once = async () => {
        const samples = await draw(400_000, stddev);
        const shareOf = (size: number) =>
          samples.filter((sample) => Math.abs(sample) === size).length / samples.length;
        const isNear = (share: number, expected: number) =>
          Math.abs(share - expected) <
          3.9 * Math.sqrt((expected * (1 - expected)) / samples.length);
        return isNear(shareOf(0), none) && isNear(shareOf(1), one);
      };
      expect((await once()) || (await once()), `stddev ${stddev}`).toBe(true);
    }
  });

  test("[DP5] no element is left without, whatever the length: each has its own", async () => {
    for (const length of [1, 2, 3, 16_383, 16_384, 16_385, 32_769]) {
      const samples = await draw(length, 2 ** 45);
      expect(samples.every((sample) => sample !== 0)).toBe(true);
      expect(new Set(samples).size).toBe(length);
    }
  });

  test("[DP5] its tails are those of a normal distribution, and neighbours are independent", async () => {
    const stddev = 2 ** 20;
    const samples = await draw(400_000, stddev);
    for (const [bound, share] of [
      [1, 0.317310508],
      [2, 0.045500264],
      [3, 0.002699796],
    ] as const) {
      const beyond = samples.filter((sample) => Math.abs(sample) > bound * stddev).length;
      expect(Math.abs(beyond / samples.length - share)).toBeLessThan(
        4.5 * Math.sqrt((share * (1 - share)) / samples.length),
      );
    }
    let product = 0;
    const pairs = samples.length / 2;
    for (let i = 0; i < 2 * pairs; i += 2) product += samples[i]! * samples[i + 1]!;
    expect(Math.abs(product / pairs / stddev ** 2)).toBeLessThan(4.5 / Math.sqrt(pairs));
  });

  test("[DP5] it is added: what was there stays beneath it", async () => {
    const start = 2 ** 50;
    const samples = async () => {
      const sum = new Float64Array(100_000).fill(start);
      await noise.add(sum, 1_000);
      return sum.map((value) => value - start);
    };
    expect(await looksNormal(samples, Math.sqrt(1e6 + 1 / 12))).toBe(true);
  });

  test("[DP7] noise goes on whole numbers below 2^53 only, and none is drawn otherwise", async () => {
    const never = createIntegerNoise({
      fill: () => {
        throw new Error("noise was drawn for a sum that cannot be released");
      },
    });
    for (const bad of [Number.NaN, Infinity, -Infinity, 0.5, 2 ** 53, -(2 ** 53)]) {
      const sum = Float64Array.of(1, bad);
      await expect(never.add(sum, 1)).rejects.toThrow("whole numbers below 2^53");
      expect([...sum]).toEqual([1, bad]);
    }
    for (const bad of [0, -1, Number.NaN, Infinity]) {
      await expect(never.add(new Float64Array(2), bad)).rejects.toThrow("stddev");
    }
    // What is exact before may no longer be so with noise on it.
    const full = new Float64Array(1_000).fill(Number.MAX_SAFE_INTEGER);
    await expect(noise.add(full, 1_000)).rejects.toThrow("with noise on it");
  });

  test("[GR8] long sums are noised in slices, and others have their turns between them", async () => {
    let turns = 0;
    let drawnInTurn = 0;
    let mostInTurn = 0;
    const counted = {
      fill: (target: Uint8Array) => {
        random.fill(target);
        drawnInTurn += target.length / 8;
        mostInTurn = Math.max(mostInTurn, drawnInTurn);
      },
    };
    const turn = async () => {
      turns += 1;
      drawnInTurn = 0;
    };
    const length = 3 * 2 ** 20 + 1;
    await createIntegerNoise(counted, turn).add(new Float64Array(length), 2 ** 20);
    // Three while the sum is looked at, one before each slice but the first.
    expect(turns).toBe(3 + 12);
    expect(mostInTurn).toBe(2 ** 18);
    // And when nothing is said of turns, they are the event loop's.
    let others = 0;
    const count = () => {
      others += 1;
      if (others < 3) setImmediate(count);
    };
    setImmediate(count);
    await noise.add(new Float64Array(length), 2 ** 20);
    expect(others).toBe(3);
  });
});

describe("where the noise comes from", () => {
  test("[DP8] two coordinators never add the same noise", async () => {
    const fresh = async () => {
      const sum = new Float64Array(1_000);
      await createIntegerNoise(createSecureRandom()).add(sum, 2 ** 48);
      return [...sum];
    };
    expect(new Set([...(await fresh()), ...(await fresh()), ...(await fresh())]).size).toBe(3_000);
  });

  test("[DP8] a source that fails gives no noise", async () => {
    const broken = {
      fill: () => {
        throw new Error("no randomness left");
      },
    };
    await expect(createIntegerNoise(broken).add(new Float64Array(8), 1)).rejects.toThrow(
      "no randomness left",
    );
  });
});
