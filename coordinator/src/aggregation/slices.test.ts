import type { ServerOptimizerSpec } from "@tributary/protocol";
import { describe, expect, test } from "vitest";

import { denseDelta } from "./encoded-delta.ts";
import { createFedAvg } from "./fed-avg.ts";
import {
  createServerOptimizer,
  encodeOptimizerState,
  optimizerStateSlices,
} from "./server-optimizer.ts";
import { inTurns, SLICE } from "./slices.ts";

const LENGTH = 2 * SLICE + 3;
const numbers = (scale: number) =>
  Float32Array.from({ length: LENGTH }, (_, i) => Math.sin(i) * scale);

/** What the slices come to, and how many turns others had. */
async function taken<T>(
  slices: Generator<undefined, T, undefined>,
  signal = new AbortController().signal,
) {
  let turns = 0;
  const value = await inTurns(slices, async () => void (turns += 1), signal);
  return { value, turns };
}

const isSame = (a: NodeJS.TypedArray, b: NodeJS.TypedArray) =>
  Buffer.compare(Buffer.from(a.buffer), Buffer.from(b.buffer)) === 0;

describe("long passes", () => {
  test("[KN9] mean, step and state of a large model come in slices, with the bits of one pass", async () => {
    const [average, other] = [1, 2].map(() => {
      const one = createFedAvg({ parameterCount: LENGTH, weighting: { kind: "uniform" } });
      for (const scale of [1, 2, 3]) one.add({ delta: denseDelta(numbers(scale)), numExamples: 1 });
      return one;
    });
    const mean = await taken(average!.meanSlices());
    expect(mean.turns).toBe(2);
    const exact = other!.sum().map((value) => value / 3);
    expect(isSame(mean.value.slice(), exact)).toBe(true);
    expect(isSame(mean.value.slice(), other!.mean().slice())).toBe(true);
    const adam = { kind: "adam", learningRate: 0.1, beta1: 0.9, beta2: 0.99, tau: 1e-3 } as const;
    const [sliced, whole] = [1, 2].map(() =>
      createServerOptimizer(adam satisfies ServerOptimizerSpec, LENGTH),
    );
    const weights = await taken(sliced!.stepSlices(numbers(1), mean.value));
    expect(weights.turns).toBe(2);
    expect(isSame(weights.value, whole!.step(numbers(1), mean.value))).toBe(true);
    const state = await taken(optimizerStateSlices("adam", sliced!.state()));
    expect(state.turns).toBe(5);
    expect(isSame(state.value, encodeOptimizerState("adam", whole!.state()))).toBe(true);
  });

  test("[KN9] a small model is one slice, and costs nobody a turn", async () => {
    const average = createFedAvg({ parameterCount: 3, weighting: { kind: "uniform" } });
    average.add({ delta: denseDelta(Float32Array.of(1, 2, 3)), numExamples: 1 });
    expect(await taken(average.meanSlices())).toEqual({
      value: Float64Array.of(1, 2, 3),
      turns: 0,
    });
  });

  test("[KN9] an abort is heard between slices", async () => {
    const optimizer = createServerOptimizer({ kind: "sgd", learningRate: 1 }, LENGTH);
    const signal = AbortSignal.abort(new Error("over"));
    const slices = optimizer.stepSlices(numbers(1), new Float64Array(LENGTH));
    await expect(taken(slices, signal)).rejects.toThrow("over");
  });
});
