import type { RobustRule } from "@tributary/protocol";
import { describe, expect, test } from "vitest";

import type { Thread } from "../../thread.ts";
import { openThread } from "../../thread.ts";
import { denseDelta } from "../encoded-delta.ts";
import { robustRoundBytes } from "./memory.ts";
import { robustMean } from "./robust-mean.ts";
import type { RobustQuestion, RobustSum } from "./robust-sum.ts";
import { createRobustSum } from "./robust-sum.ts";
import { rowsOf } from "./tiles.ts";

const rule: RobustRule = { kind: "median" };
const PARAMETERS = 5;
const never = new AbortController().signal;

const vectors = Array.from({ length: 7 }, (_, k) =>
  Float32Array.from({ length: PARAMETERS }, (_value, i) => Math.sin(7 * k + i)),
);
const input = (vector: Float32Array, numExamples = 1) => ({
  delta: denseDelta(vector),
  numExamples,
});
function filled(sum: RobustSum): RobustSum {
  for (const vector of vectors) sum.add(input(vector));
  return sum;
}

type Open = () => Thread<RobustQuestion, Float64Array>;
/** A real thread that tells when it is closed. */
function watched(open: Open): { open: Open; closed: () => number } {
  let closed = 0;
  return {
    open: () => {
      const thread = open();
      return {
        ask: thread.ask,
        close: () => {
          closed += 1;
          return thread.close();
        },
      };
    },
    closed: () => closed,
  };
}
const openReal: Open = () => openThread("robust", import.meta.url);

describe("the updates of a robust round", () => {
  test("[RA12] become in a thread what the rule makes of them here, and the thread ends", async () => {
    const { open, closed } = watched(openReal);
    const sum = filled(
      createRobustSum({ rule, parameterCount: PARAMETERS, clippingNorm: 1 }, open),
    );
    const mean = await sum.mean(never);
    expect(mean).toEqual(robustMean(rule, rowsOf(vectors), { clippingNorm: 1 }));
    expect(closed()).toBe(1);
  });

  test("[RA11] are kept as they came, in memory lent to their upload where it was, and are gone afterwards", async () => {
    const sum = createRobustSum({ rule, parameterCount: PARAMETERS });
    const bytes = 4 * PARAMETERS;
    for (const [k, vector] of vectors.entries()) {
      if (k % 2 === 0) sum.add(input(vector));
      else {
        const slot = sum.slots.take(bytes)!;
        slot.bytes.set(denseDelta(vector).payload);
        sum.add({ delta: { ...denseDelta(vector), payload: slot.bytes }, numExamples: 1 });
        slot.release();
      }
      expect(sum.bytesKept).toBe((k + 1) * bytes);
    }
    const limits = { reports: vectors.length, updateBytes: bytes, parameterCount: PARAMETERS };
    expect(sum.bytesKept).toBeLessThanOrEqual(robustRoundBytes(rule, limits));
    const result = sum.mean(never);
    expect(sum.bytesKept).toBe(0);
    expect(await result).toEqual(robustMean(rule, rowsOf(vectors)));
    await expect(sum.mean(never)).rejects.toThrow("taken");
    expect(() => sum.add(input(vectors[0]!))).toThrow("aggregated already");
  });

  test("[RA11] are copies: what a sender's memory holds later changes nothing", async () => {
    const sum = createRobustSum({ rule, parameterCount: PARAMETERS });
    for (const vector of vectors) {
      const passing = vector.slice();
      sum.add(input(passing));
      passing.fill(1e9);
    }
    expect(await sum.mean(never)).toEqual(robustMean(rule, rowsOf(vectors)));
  });

  test("[RA12] a round that is given up ends its thread at once, and nothing comes out", async () => {
    const { open, closed } = watched(() => ({
      ...openReal(),
      ask: () => new Promise<Float64Array>(() => {}),
    }));
    const real = watched(openReal);
    for (const { opened, count } of [
      { opened: real.open, count: real.closed },
      { opened: open, count: closed },
    ]) {
      const sum = filled(createRobustSum({ rule, parameterCount: PARAMETERS }, opened));
      const abort = new AbortController();
      const result = sum.mean(abort.signal).then(
        () => "came",
        () => "failed",
      );
      abort.abort();
      expect(count()).toBeGreaterThan(0);
      if (opened === real.open) expect(await result).toBe("failed");
      expect(sum.bytesKept).toBe(0);
    }
    const late = filled(createRobustSum({ rule, parameterCount: PARAMETERS }));
    await expect(late.mean(AbortSignal.abort())).rejects.toThrow();
  });

  test("[RA12] a thread that dies, cannot start or says nonsense is an error", async () => {
    const answers = (answer: unknown): Open => {
      return () => ({ ask: async () => answer as Float64Array, close: async () => {} });
    };
    const dying: Open = () => {
      const thread = openReal();
      return {
        ask: (...asked) => (void thread.close(), thread.ask(...asked)),
        close: thread.close,
      };
    };
    const missing: Open = () => openThread("no-such-rule", import.meta.url);
    for (const open of [
      dying,
      missing,
      answers(new Float64Array(PARAMETERS - 1)),
      answers(new Float64Array(PARAMETERS).fill(Number.NaN)),
    ]) {
      const sum = filled(createRobustSum({ rule, parameterCount: PARAMETERS }, open));
      await expect(sum.mean(never)).rejects.toThrow(/gave no answer|finite numbers/);
      expect(sum.bytesKept).toBe(0);
    }
  });

  test("[RA9] an update that is not finite, of another length, or after the end is refused and not kept", async () => {
    const sum = createRobustSum({ rule, parameterCount: PARAMETERS });
    expect(() => sum.add(input(new Float32Array(PARAMETERS + 1)))).toThrow("for a sum of 5");
    expect(() => sum.add(input(new Float32Array(PARAMETERS).fill(NaN)))).toThrow("not finite");
    expect(sum.count).toBe(0);
    expect(sum.bytesKept).toBe(0);
    await expect(sum.mean(never)).rejects.toThrow("no updates");
    sum.add(input(vectors[0]!));
    sum.add(input(vectors[1]!));
    await expect(sum.mean(never)).rejects.toThrow("needs 3 updates, got 2");
  });

  test("[RA14] what a client says of its examples changes nothing", async () => {
    const told = createRobustSum({ rule: { kind: "normBounding", factor: 1 }, parameterCount: 5 });
    const plain = createRobustSum({ rule: { kind: "normBounding", factor: 1 }, parameterCount: 5 });
    for (const [k, vector] of vectors.entries()) {
      told.add(input(vector, 10 ** k));
      plain.add(input(vector));
    }
    expect(await told.mean(never)).toEqual(await plain.mean(never));
  });
});
