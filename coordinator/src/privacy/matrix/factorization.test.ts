import { readFileSync } from "node:fs";

import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { epsilonOfGaussian } from "../gaussian-curve.ts";
import {
  bltCoefficients,
  bltFault,
  bltLogLoss,
  bltPrefixError,
  bltSensitivitySquared,
} from "./blt.ts";
import type { MatrixRun } from "./factorization.ts";
import { createFactorization, runFault } from "./factorization.ts";
import { MOST_BUFFERS, optimizeBlt } from "./optimize-blt.ts";
import type { ParticipationLimits } from "./toeplitz.ts";
import {
  inverseCoefficients,
  squareRootCoefficients,
  toeplitzPrefixError,
  toeplitzSensitivitySquared,
} from "./toeplitz.ts";
import { treeHeight, treeSensitivitySquared } from "./tree.ts";

function vectors(name: string): unknown {
  const file = new URL(`../../../../test/vectors/${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(file, "utf8"));
}

interface BltRow {
  n: number;
  min_sep: number;
  max_participations: number;
  buf_decay: number[];
  output_scale: number[];
  strategy_coefs_first20: number[];
  noising_coefs_first20: number[];
  streaming_inverse_times_ones_first20: number[];
  sens2: number;
  max_error: number;
}

interface Outside {
  toeplitz: {
    n: number;
    strategy: number[];
    noising: number[];
    sens2_single: number;
    per_query_error: number[];
  }[];
  banded_toeplitz: {
    n: number;
    bands: number;
    strategy: number[];
    noising: number[];
    sens2_single: number;
    sens2_minsep_eq_bands: number;
    max_participations: number;
  }[];
  blt: BltRow[];
  minsep_sensitivity: {
    n: number;
    min_sep: number;
    max_participations: number | null;
    sens2: number;
  }[];
  matrix_mechanism_epsilon: { noise_multiplier: number; delta: number; epsilon: number }[];
}
const outside = vectors("matrix_mechanism") as Outside;

const bltOf = ({ buf_decay, output_scale }: BltRow) => ({
  decays: buf_decay,
  scales: output_scale,
});
const limitsOf = (minSeparation: number, maxParticipations: number): ParticipationLimits => ({
  minSeparation,
  maxParticipations,
});

function expectNear(ours: Iterable<number>, theirs: readonly number[], tolerance: number): void {
  const list = [...ours];
  expect(list.length).toBeGreaterThanOrEqual(theirs.length);
  for (const [i, value] of theirs.entries()) {
    expect(Math.abs((list[i] as number) - value), `element ${i}`).toBeLessThanOrEqual(tolerance);
  }
}

/** Every set of rounds that a client may be in. */
function patterns(rounds: number, { minSeparation, maxParticipations }: ParticipationLimits) {
  const found: number[][] = [];
  const extend = (chosen: number[], from: number) => {
    if (chosen.length > 0) found.push(chosen);
    if (chosen.length === maxParticipations) return;
    for (let t = from; t < rounds; t++) extend([...chosen, t], t + minSeparation);
  };
  extend([], 0);
  return found;
}

/** One linear map of steps, as it acts on unit vectors. */
function matrixOf(run: MatrixRun): number[][] {
  const { begin, step } = createFactorization(run);
  return Array.from({ length: run.rounds }, (_, column) => {
    let state = begin(1);
    return Array.from({ length: run.rounds }, (_unused, t) => {
      const { noise, next } = step(state, Float64Array.of(t === column ? 1 : 0));
      state = next;
      return noise[0] as number;
    });
  });
}

const anyRun = fc
  .tuple(
    fc.integer({ min: 1, max: 12 }),
    fc.integer({ min: 1, max: 12 }),
    fc.integer({ min: 1, max: 12 }),
  )
  .map(([rounds, minSeparation, times]) => ({
    rounds,
    minSeparation,
    maxParticipations: Math.min(times, Math.ceil(rounds / minSeparation)),
  }));
const anyBlt = fc
  .array(
    fc.record({
      decay: fc.double({ min: 0.01, max: 0.999, noNaN: true }),
      weight: fc.double({ min: 0.01, max: 1, noNaN: true }),
    }),
    { minLength: 1, maxLength: 4 },
  )
  .map((buffers) => ({
    decays: buffers.map(({ decay }) => decay),
    scales: buffers.map(({ weight }) => weight / buffers.length),
  }));

describe("matrices of a run", () => {
  test("[MM1] coefficients, inverses, sensitivity and error of Toeplitz matrices are those of independent code", () => {
    for (const row of outside.toeplitz) {
      const strategy = squareRootCoefficients(row.n);
      const noising = inverseCoefficients(strategy, row.n);
      expectNear(strategy, row.strategy, 1e-12);
      expectNear(noising, row.noising, 1e-12);
      const sensitivity = toeplitzSensitivitySquared(strategy, row.n, limitsOf(row.n, 1));
      expect(Math.abs(sensitivity / row.sens2_single - 1)).toBeLessThan(1e-8);
      const errors = row.per_query_error.map((_, i) => toeplitzPrefixError(noising, i + 1).max);
      if (row.n === 8) expectNear(errors, row.per_query_error, 1e-12);
    }
    for (const row of outside.banded_toeplitz) {
      const strategy = Float64Array.from(row.strategy);
      expectNear(inverseCoefficients(strategy, row.n), row.noising, 1e-6);
      const single = toeplitzSensitivitySquared(strategy, row.n, limitsOf(row.n, 1));
      expect(Math.abs(single / row.sens2_single - 1)).toBeLessThan(1e-8);
      const apart = limitsOf(row.bands, row.max_participations);
      const several = toeplitzSensitivitySquared(strategy, row.n, apart);
      expect(Math.abs(several / row.sens2_minsep_eq_bands - 1)).toBeLessThan(1e-8);
    }
    for (const row of outside.minsep_sensitivity) {
      const limits = limitsOf(row.min_sep, row.max_participations ?? Infinity);
      const ours = toeplitzSensitivitySquared(squareRootCoefficients(row.n), row.n, limits);
      expect(Math.abs(ours / row.sens2 - 1)).toBeLessThan(1e-8);
    }
  });

  test("[MM1] buffered matrices have the coefficients, sensitivity and error of independent code", () => {
    for (const row of outside.blt) {
      const blt = bltOf(row);
      const limits = limitsOf(row.min_sep, row.max_participations);
      const coefficients = bltCoefficients(blt, row.n);
      expectNear(coefficients, row.strategy_coefs_first20, 1e-9);
      expectNear(inverseCoefficients(coefficients, 20), row.noising_coefs_first20, 1e-9);
      const sensitivity = bltSensitivitySquared(blt, row.n, limits);
      expect(Math.abs(sensitivity / row.sens2 - 1)).toBeLessThan(1e-8);
      const plain = toeplitzSensitivitySquared(coefficients, row.n, limits);
      expect(Math.abs(sensitivity / plain - 1)).toBeLessThan(1e-10);
      expect(Math.abs(bltPrefixError(blt, row.n).max / row.max_error - 1)).toBeLessThan(1e-8);
    }
  });

  test("[MM1] no set of rounds within the limits, and no signs, change more than the sensitivity says", () => {
    fc.assert(
      fc.property(anyRun, anyBlt, (run, blt) => {
        const coefficients = bltCoefficients(blt, run.rounds);
        let worst = 0;
        for (const pattern of patterns(run.rounds, run)) {
          // Opposite signs take from each other, as no coefficient is negative.
          for (const sign of [1, -1]) {
            let sum = 0;
            for (let t = 0; t < run.rounds; t++) {
              let value = 0;
              for (const [i, start] of pattern.entries()) {
                if (t >= start) value += sign ** i * (coefficients[t - start] as number);
              }
              sum += value ** 2;
            }
            worst = Math.max(worst, sum);
          }
        }
        const ours = bltSensitivitySquared(blt, run.rounds, run);
        expect(Math.abs(ours / worst - 1)).toBeLessThan(1e-12);
      }),
      { numRuns: 200 },
    );
  });

  test("[MM1] a matrix whose coefficients rise or are negative has no sensitivity", () => {
    for (const coefficients of [[1, -0.1], [1, 0.2, 0.3], [Number.NaN], [Infinity, 1]]) {
      const matrix = Float64Array.from(coefficients);
      const ask = () => toeplitzSensitivitySquared(matrix, 4, limitsOf(2, 2));
      expect(ask, String(coefficients)).toThrow(RangeError);
    }
    for (const [decays, scales, part] of [
      [[], [], "0 decays"],
      [[0.5], [0.5, 0.1], "2 scales"],
      [[1], [0.5], "decay 1"],
      [[Number.NaN], [0.5], "decay NaN"],
      [[0.5], [-0.1], "scale -0.1"],
      [[0.5, 0.4], [0.6, 0.5], "add up to 1.1"],
    ] as const) {
      expect(bltFault({ decays, scales })).toContain(part);
      expect(() => bltSensitivitySquared({ decays, scales }, 4, limitsOf(2, 2))).toThrow(part);
    }
  });

  test("[MM2] noise step by step is C^-1 Z, as dense arithmetic and independent code have it", () => {
    for (const row of outside.blt) {
      const limits = limitsOf(row.min_sep, row.max_participations);
      const run = {
        rounds: row.n,
        ...limits,
        factorization: { kind: "blt", ...bltOf(row) } as const,
      };
      const { begin, step } = createFactorization(run);
      let state = begin(2);
      const noising = inverseCoefficients(bltCoefficients(bltOf(row), row.n), row.n);
      const inputs = Array.from({ length: row.n }, (_, t) => Math.sin(3 * t) * 2 ** 40);
      const ones: number[] = [];
      for (let t = 0; t < row.n; t++) {
        const { noise, next } = step(state, Float64Array.of(1, inputs[t] as number));
        state = next;
        ones.push(noise[0] as number);
        let dense = 0;
        for (let i = 0; i <= t; i++) dense += (noising[i] as number) * (inputs[t - i] as number);
        // 2^-53 of 2^40 would be 1e-4.
        expect(Math.abs((noise[1] as number) - dense)).toBeLessThan(0.01);
      }
      expectNear(ones, row.streaming_inverse_times_ones_first20, 1e-9);
      expect(() => step(state, Float64Array.of(1, 1))).toThrow("all of them done");
    }
  });

  test("[MM2] the prefix sums of a tree's noise are the noises of the nodes that make up the prefix", () => {
    fc.assert(
      fc.property(anyRun, (limits) => {
        const run = { ...limits, factorization: { kind: "tree" } as const };
        const columns = matrixOf(run);
        const { sensitivitySquared, prefixError } = createFactorization(run);
        let largest = 0;
        for (let t = 0; t < run.rounds; t++) {
          const prefix = columns.map((column) =>
            column.slice(0, t + 1).reduce((sum, value) => sum + value, 0),
          );
          // Each node whose noise is in it counts once, and none twice.
          expect(prefix.every((weight) => weight === 0 || weight === 1)).toBe(true);
          largest = Math.max(largest, prefix.filter((weight) => weight === 1).length);
        }
        expect(prefixError.max).toBe(largest);
        // A client that is in `times` rounds is in `height` nodes of as many trees.
        const nodes = patterns(run.rounds, run).map((pattern) => nodesOf(pattern, run));
        expect(Math.max(...nodes)).toBeLessThanOrEqual(sensitivitySquared);
        if (run.rounds > 0 && run.maxParticipations === 1) {
          expect(Math.max(...nodes)).toBe(sensitivitySquared);
        }
      }),
      { numRuns: 200 },
    );
  });

  test("[MM3] the matrix that is found for a run has at most 1.01 times the loss of independent code's, always the same", () => {
    for (const row of outside.blt) {
      const limits = limitsOf(row.min_sep, row.max_participations);
      const ours = optimizeBlt({ rounds: row.n, ...limits });
      const theirs = bltOf(row);
      const ratio = Math.exp(bltLogLoss(ours, row.n, limits) - bltLogLoss(theirs, row.n, limits));
      expect(ratio).toBeLessThan(1.01);
      expect(optimizeBlt({ rounds: row.n, ...limits })).toEqual(ours);
    }
  });

  test("[MM3] for every run a good matrix is found: no worse than independent noise, the square root or a tree", () => {
    for (const [rounds, minSeparation, maxParticipations] of [
      [1, 1, 1],
      [2, 1, 2],
      [7, 3, 2],
      [40, 4, 10],
      [64, 64, 1],
      [300, 20, 15],
      [1000, 1000, 1],
      [4096, 256, 16],
    ] as const) {
      const limits = limitsOf(minSeparation, maxParticipations);
      const blt = optimizeBlt({ rounds, ...limits });
      expect(bltFault(blt)).toBeUndefined();
      expect(blt.decays.length).toBeLessThanOrEqual(MOST_BUFFERS);
      const ours = Math.exp(bltLogLoss(blt, rounds, limits));
      const independent = maxParticipations * rounds;
      const root = squareRootCoefficients(rounds);
      const square =
        toeplitzSensitivitySquared(root, rounds, limits) *
        toeplitzPrefixError(inverseCoefficients(root, rounds), rounds).max;
      const run = { rounds, ...limits, factorization: { kind: "tree" } as const };
      const tree = createFactorization(run);
      // The square root is within a constant of the best for one participation; four buffers are close to it.
      const bound = Math.min(independent, tree.sensitivitySquared * tree.prefixError.max);
      expect(ours, `${rounds} rounds`).toBeLessThanOrEqual(bound * (1 + 1e-6));
      expect(ours, `${rounds} rounds`).toBeLessThanOrEqual(square * 1.01);
    }
    expect(() => optimizeBlt({ rounds: 1.5, minSeparation: 1, maxParticipations: 1 })).toThrow(
      "rounds must be a whole number",
    );
  });

  test("[MM4] a run costs one Gaussian release, as independent accountants have it", () => {
    for (const { noise_multiplier, delta, epsilon } of outside.matrix_mechanism_epsilon) {
      const ours = epsilonOfGaussian(1 / noise_multiplier, delta);
      expect(Math.abs(ours / epsilon - 1)).toBeLessThan(1e-9);
    }
    const trees = (
      vectors("dpftrl_tree") as {
        vectors: {
          noise_multiplier: number;
          step_counts: number[];
          participations: number;
          tree_height: number;
          delta: number;
          eps_exact_gaussian: number;
        }[];
      }
    ).vectors;
    for (const row of trees) {
      const steps = Math.max(...row.step_counts);
      expect(treeHeight(steps)).toBe(row.tree_height);
      // Trees one after the other, each with a client once.
      const times = row.participations;
      const squared = treeSensitivitySquared(steps * times, limitsOf(steps, times));
      expect(squared).toBe(row.tree_height * times);
      const ours = epsilonOfGaussian(Math.sqrt(squared) / row.noise_multiplier, row.delta);
      expect(Math.abs(ours / row.eps_exact_gaussian - 1)).toBeLessThan(1e-9);
    }
  });

  test("[MM5] a run that cannot be is refused, with the numbers", () => {
    const good: MatrixRun = {
      rounds: 10,
      minSeparation: 3,
      maxParticipations: 4,
      factorization: { kind: "tree" },
    };
    expect(runFault(good)).toBeUndefined();
    for (const [wrong, part] of [
      [{ rounds: 0 }, "rounds is 0"],
      [{ minSeparation: 1.5 }, "minSeparation is 1.5"],
      [{ maxParticipations: Number.NaN }, "maxParticipations is NaN"],
      [{ maxParticipations: 5 }, "have room for 4"],
      [{ factorization: { kind: "blt", decays: [2], scales: [0.5] } }, "decay 2"],
    ] as const) {
      expect(runFault({ ...good, ...wrong })).toContain(part);
      expect(() => createFactorization({ ...good, ...wrong })).toThrow(part);
    }
    const { begin, step } = createFactorization(good);
    expect(() => step(begin(2), new Float64Array(3))).toThrow("3 elements");
  });
});

/** Squared change of all nodes of all trees by a client with 1 in each of these rounds. */
function nodesOf(pattern: readonly number[], run: MatrixRun): number {
  const steps = run.maxParticipations === 1 ? run.rounds : Math.min(run.rounds, run.minSeparation);
  const counts = new Map<string, number>();
  for (const t of pattern) {
    const [tree, leaf] = [Math.floor(t / steps), t % steps];
    for (let level = 0; 2 ** level <= steps; level++) {
      const node = Math.floor(leaf / 2 ** level);
      // Nodes that end within the tree and the run.
      const end = (node + 1) * 2 ** level;
      if (end > steps) continue;
      const key = `${tree} ${level} ${node}`;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
  }
  return [...counts.values()].reduce((sum, count) => sum + count * count, 0);
}
