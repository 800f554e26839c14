import { describe, expect, test } from "vitest";

import { createExactNoise } from "./exact-noise.ts";
import { openThread } from "../thread.ts";

const noise = createExactNoise();

async function draw(length: number, stddev: number): Promise<Float64Array> {
  const sum = new Float64Array(length);
  await noise.add(sum, stddev);
  return sum;
}

describe("exact noise in a thread", () => {
  test("[NS5] it is added in place with the deviation asked for, also where a sum takes several questions", async () => {
    for (const [length, stddev] of [
      [150_001, 2 ** 20],
      [100_000, 10],
    ] as const) {
      const sum = new Float64Array(length).fill(2 ** 40);
      await noise.add(sum, stddev);
      const squares = sum.reduce((total, value) => total + ((value - 2 ** 40) / stddev) ** 2, 0);
      // Once in 10^9 runs by chance.
      expect(Math.abs(squares / length - 1)).toBeLessThan(6 * Math.sqrt(2 / length));
    }
  });

  test("[NS5] two calls, and so two coordinators, never draw the same", async () => {
    const drawn = [await draw(1_000, 2 ** 29), await draw(1_000, 2 ** 29)];
    expect(new Set([...drawn[0]!, ...drawn[1]!]).size).toBeGreaterThan(1_990);
  });

  test("[NS5] everything else has its turn while it is drawn", async () => {
    let turns = 0;
    let isDone = false;
    const count = () => {
      turns += 1;
      if (!isDone) setTimeout(count, 0);
    };
    setTimeout(count, 0);
    await draw(300_000, 2 ** 20);
    isDone = true;
    expect(turns).toBeGreaterThan(5);
  });

  test("[NS5] a sum or deviation that cannot have exact noise is refused", async () => {
    for (const bad of [Number.NaN, Infinity, 0.5, 2 ** 53]) {
      const sum = Float64Array.of(1, bad);
      await expect(noise.add(sum, 1)).rejects.toThrow("whole numbers below 2^53");
      expect([...sum]).toEqual([1, bad]);
    }
    for (const bad of [0, -1, Number.NaN, Infinity]) {
      await expect(noise.add(new Float64Array(2), bad)).rejects.toThrow("stddev");
    }
    await expect(noise.add(new Float64Array(2), 2 ** 31)).rejects.toThrow("between 2^-32 and 2^30");
    const full = new Float64Array(1_000).fill(Number.MAX_SAFE_INTEGER);
    await expect(noise.add(full, 1_000)).rejects.toThrow("with noise on it");
  });

  test("[NS5] no -0 is left", async () => {
    const sum = new Float64Array(1_000).fill(-0);
    await noise.add(sum, 0.3);
    expect(sum.some((value) => Object.is(value, -0))).toBe(false);
  });

  test("[NS5] without a thread that answers there is no noise, and nothing may be released", async () => {
    const missing = createExactNoise(() => openThread("no-such-noise", import.meta.url));
    await expect(missing.add(new Float64Array(2), 1)).rejects.toThrow("gave no answer");
    let closed = 0;
    const answering = (answer: () => Promise<Float64Array>) =>
      createExactNoise(() => ({
        ask: answer,
        close: async () => {
          closed += 1;
        },
      }));
    const short = answering(async () => new Float64Array(1));
    await expect(short.add(new Float64Array(2), 1)).rejects.toThrow("got 1");
    const broken = answering(async () => Float64Array.of(1, 0.5));
    await expect(broken.add(new Float64Array(2), 1)).rejects.toThrow("whole numbers");
    const died = answering(() => Promise.reject(new Error("out of memory")));
    await expect(died.add(new Float64Array(2), 1)).rejects.toThrow("out of memory");
    expect(closed).toBe(3);
  });

  test("[NS5] a thread that ends under way answers nobody, then or later", async () => {
    const thread = openThread<unknown, Float64Array>("exact-noise", import.meta.url);
    const asked = thread.ask({ samples: 50_000_000, stddev: 2 ** 20 });
    const refused = expect(asked).rejects.toThrow("gave no answer");
    await thread.close();
    await refused;
    await expect(thread.ask({ samples: 1, stddev: 1 })).rejects.toThrow("gave no answer");
  });
});
