import { describe, expect, test } from "vitest";

import { createGrid } from "../grid.ts";
import type { IntegerNoise } from "../integer-noise.ts";
import { createIntegerNoise } from "../integer-noise.ts";
import { createSecureRandom } from "../random.ts";
import { bltCoefficients } from "./blt.ts";
import type { MatrixRun } from "./factorization.ts";
import { createFactorization } from "./factorization.ts";
import { matrixMechanism } from "./matrix-mechanism.ts";
import { decodeNoiseState, encodeNoiseState, noiseStateBytes } from "./noise-state.ts";
import { optimizeBlt } from "./optimize-blt.ts";
import { inverseCoefficients } from "./toeplitz.ts";

const noise = createIntegerNoise(createSecureRandom());
const limits = { rounds: 8, minSeparation: 2, maxParticipations: 3 };
const blt = { kind: "blt", ...optimizeBlt(limits) } as const;
const tree = { kind: "tree" } as const;
const kinds: readonly MatrixRun["factorization"][] = [blt, tree];

function mechanismOf(
  factorization: MatrixRun["factorization"],
  {
    noiseMultiplier = 1,
    clippingNorm = 1,
    size = 3,
    source = noise,
  }: { noiseMultiplier?: number; clippingNorm?: number; size?: number; source?: IntegerNoise } = {},
) {
  const grid = createGrid({ noiseMultiplier, clippingNorm, parameterCount: size });
  const run = createFactorization({ ...limits, factorization });
  return {
    grid,
    run,
    ...matrixMechanism({ grid, factorization: run, expectedReports: 4 }, source),
  };
}

/** What is released of a run of empty sums, in the units of a delta's sum. */
async function releaseRun(mechanism: ReturnType<typeof mechanismOf>, size: number) {
  const released: Float64Array[] = [];
  let state = mechanism.begin();
  for (let t = 0; t < limits.rounds; t++) {
    const drawn = await mechanism.draw(state);
    released.push(mechanism.release(new Float64Array(size), drawn).map((value) => 4 * value));
    state = drawn.next;
  }
  return released;
}

describe("the matrix mechanism", () => {
  test("[MM6] noise of every step and of every prefix has the standard deviation that its matrix says, at z of 0.1, 1 and 10", async () => {
    const size = 40_000;
    for (const factorization of kinds) {
      for (const noiseMultiplier of [0.1, 1, 10]) {
        const once = async () => {
          const mechanism = mechanismOf(factorization, { noiseMultiplier, clippingNorm: 2, size });
          const { freshNoiseStddev, grid, run } = mechanism;
          const expected = noiseMultiplier * Math.sqrt(run.sensitivitySquared) * grid.roundedNorm;
          expect(Math.abs(freshNoiseStddev / expected - 1)).toBeLessThan(1e-12);
          const released = await releaseRun(mechanism, size);
          const prefix = new Float64Array(size);
          let worst = 0;
          for (const step of released) {
            for (let i = 0; i < size; i++) prefix[i] = (prefix[i] as number) + (step[i] as number);
            worst = Math.max(worst, deviationOf(prefix));
          }
          const first = deviationOf(released[0] as Float64Array) / freshNoiseStddev;
          const most = worst / (freshNoiseStddev * Math.sqrt(run.prefixError.max));
          // 99.99 % of N(1, 1 / 2n), for each of the two.
          const interval = 3.9 / Math.sqrt(2 * size);
          return Math.abs(first - 1) < interval && Math.abs(most - 1) < 2 * interval;
        };
        expect((await once()) || (await once()), `${factorization.kind} ${noiseMultiplier}`).toBe(
          true,
        );
      }
    }
  });

  test("[MM6] the noise of two steps hangs together as C^-1 C^-T says, that of two elements not at all", async () => {
    const size = 100_000;
    const mechanism = mechanismOf(blt, { size });
    const noising = inverseCoefficients(bltCoefficients(blt, limits.rounds), limits.rounds);
    const once = async () => {
      const released = await releaseRun(mechanism, size);
      const variance = mechanism.freshNoiseStddev ** 2;
      let good = true;
      for (const [s, t] of [
        [0, 1],
        [0, 5],
        [3, 4],
        [2, 7],
      ] as const) {
        let expected = 0;
        for (let i = 0; i <= s; i++)
          expected += (noising[s - i] as number) * (noising[t - i] as number);
        const found = product(released[s] as Float64Array, released[t] as Float64Array) / variance;
        good &&= Math.abs(found - expected) < 6 / Math.sqrt(size);
      }
      const [first] = released as [Float64Array];
      const neighbours = product(first.subarray(1), first.subarray(0, -1)) / variance;
      return good && Math.abs(neighbours) < 6 / Math.sqrt(size);
    };
    expect((await once()) || (await once())).toBe(true);
  });

  test("[MM7] what is released is a whole number of steps over the public denominator, and the sum plus noise that knows nothing of it", async () => {
    for (const factorization of kinds) {
      const { draw, begin, release, grid } = mechanismOf(factorization);
      let state = begin();
      const parities = new Set<number>();
      for (let t = 0; t < limits.rounds; t++) {
        const drawn = await draw(state);
        const sum = Float64Array.of(5, -7, 2 ** 30);
        const released = release(sum, drawn);
        expect([...sum]).toEqual([5, -7, 2 ** 30]);
        for (const [i, value] of released.entries()) {
          const steps = (value * 4) / grid.step;
          expect(Number.isSafeInteger(steps)).toBe(true);
          expect(steps).toBe((sum[i] as number) + (drawn.steps[i] as number));
          parities.add(Math.abs(steps % 2));
        }
        state = drawn.next;
      }
      expect(parities.size).toBe(2);
    }
  });

  test("[MM7] noise that is drawn again is new, and drawing leaves the state as it was", async () => {
    for (const factorization of kinds) {
      const { draw, begin } = mechanismOf(factorization);
      const { next: state } = await draw(begin());
      const before = state.vectors.map((vector) => [...vector]);
      const [one, other] = [await draw(state), await draw(state)];
      expect([...one.steps]).not.toEqual([...other.steps]);
      expect(state.vectors.map((vector) => [...vector])).toEqual(before);
      expect(one.next.step).toBe(2);
    }
  });

  test("[MM7] noise that is not whole or not finite, and sums of another size, release nothing", async () => {
    const broken = (value: number): IntegerNoise => ({
      add: async (sum) => void sum.fill(value),
    });
    for (const value of [Number.NaN, Infinity, 2 ** 120]) {
      for (const factorization of kinds) {
        const { draw, begin } = mechanismOf(factorization, { source: broken(value) });
        await expect(draw(begin()), `${value}`).rejects.toThrow(RangeError);
      }
    }
    const { draw, begin, release } = mechanismOf(tree);
    const drawn = await draw(begin());
    expect(() => release(new Float64Array(2), drawn)).toThrow("2 elements");
    expect(() => release(Float64Array.of(0.5, 0, 0), drawn)).toThrow("whole numbers");
    expect(() => release(Float64Array.of(Number.NaN, 0, 0), drawn)).toThrow("whole numbers");
    const grid = createGrid({ noiseMultiplier: 1, clippingNorm: 1, parameterCount: 3 });
    const factorization = createFactorization({ ...limits, factorization: tree });
    for (const expectedReports of [0, -1, Number.NaN, Infinity]) {
      expect(() => matrixMechanism({ grid, factorization, expectedReports }, noise)).toThrow(
        "expectedReports",
      );
    }
  });

  test("[MM8] a noise state comes back bit for bit, and one that is damaged, cut or of another step is refused", async () => {
    const { draw, begin, run } = mechanismOf(blt);
    const { next } = await draw(begin());
    const bytes = await encodeNoiseState(next);
    expect(bytes).toHaveLength(noiseStateBytes(run.stateVectors, 3));
    const expected = { step: 1, vectors: run.stateVectors, size: 3 };
    expect(await decodeNoiseState(bytes, expected)).toEqual(next);
    for (let i = 0; i < bytes.length; i++) {
      const damaged = bytes.slice();
      damaged[i] = (damaged[i] as number) ^ 1;
      await expect(decodeNoiseState(damaged, expected), `byte ${i}`).rejects.toThrow(RangeError);
    }
    await expect(decodeNoiseState(bytes.slice(0, -1), expected)).rejects.toThrow("bytes");
    await expect(decodeNoiseState(bytes, { ...expected, step: 2 })).rejects.toThrow(
      "of step 1, the ledger is at step 2",
    );
    await expect(decodeNoiseState(bytes, { ...expected, size: 4 })).rejects.toThrow("bytes");
  });
});

function product(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number);
  return sum / a.length;
}

const deviationOf = (values: Float64Array) => Math.sqrt(product(values, values));
