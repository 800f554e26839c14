import type { ClientId, RoundId, SamplingClaim, TaskId, TaskSpecInput } from "@tributary/protocol";
import { createLayout, encodeCheckpoint, l2Norm, sha256 } from "@tributary/protocol";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { systemClock } from "../clock.ts";
import { createBlobKeeper } from "../model/blob-keeper.ts";
import { createModelRegistry } from "../model/registry.ts";
import type { Evaluator } from "../ports.ts";
import type { IntegerNoise } from "../privacy/integer-noise.ts";
import type { Reckon } from "../privacy/reckoner.ts";
import { reckonHere } from "../privacy/reckoner.ts";
import { createMemoryBlobs, createMemoryStore } from "../storage/memory.ts";
import { resolveTaskSpec } from "../task/spec.ts";
import { makeVersion } from "./release.ts";
import { openSum } from "./round-sum.ts";
import { denseDelta } from "../aggregation/encoded-delta.ts";

const taskId = "t" as TaskId;
const PARAMETERS = 4;
/** Whole numbers that differ from element to element, the same at every call. */
const sameNoise: IntegerNoise = {
  add: async (sum) => sum.forEach((value, i) => void (sum[i] = value + 1_000 * i - 777)),
};
const noNoise: IntegerNoise = { add: async () => {} };

async function startWorld(overrides: Partial<TaskSpecInput> = {}) {
  const store = createMemoryStore();
  const blobs = createBlobKeeper(createMemoryBlobs(), (digest) => store.isReferenced(digest));
  const shelf = createModelRegistry({ store, blobs }, { keepInMemory: 2 });
  const logged: unknown[] = [];
  const log = (...args: unknown[]) => void logged.push(args);
  const spec = resolveTaskSpec({
    taskId: "t",
    model: { tensors: [{ name: "w", shape: [PARAMETERS] }] },
    sampler: { kind: "poisson", samplingRate: 0.1, population: 100 },
    clippingNorm: 1,
    privacy: { mechanism: "central", noiseMultiplier: 1, delta: 1e-5, maxEpsilon: 10 },
    ...overrides,
  });
  const layout = await createLayout(spec.model.tensors);
  const weights = new Float32Array(PARAMETERS);
  const frame = encodeCheckpoint(layout, { modelVersion: 0, weights });
  const task = { taskId, spec, layout, state: "running" as const, createdAt: 0 };
  const version = {
    ...{ taskId, modelVersion: 0, bytes: frame.length, createdAt: 0 },
    digest: await shelf.save(frame),
    signed: { manifest: "", signature: "", publicKey: "" } as never,
  };
  await store.createTask(task, version);
  const claim: SamplingClaim = { kind: "none" };
  const round = {
    roundId: "t.1" as RoundId,
    taskId,
    roundNumber: 1,
    baseModelVersion: 0,
    openedAt: 0,
  };
  await store.saveOpenRound(
    {
      ...{ ...round, phase: "aggregating", phases: [], rejections: {}, updateBytes: 0 },
      participants: { selected: 1, reported: 1, declined: 0, rejected: 0, dropped: 0 } as never,
    },
    ["a".repeat(8) as ClientId],
  );
  const logger = { debug: log, info: log, warn: log, error: log };
  const sumOf = (deltas: readonly (readonly number[])[]) => {
    const sum = openSum(task, {});
    for (const delta of deltas)
      sum.add({ delta: denseDelta(Float32Array.from(delta)), numExamples: 1 });
    return sum;
  };
  const release = (
    sum: ReturnType<typeof openSum>,
    noise: IntegerNoise,
    {
      reckon = reckonHere,
      signal = new AbortController().signal,
      evaluator = undefined as Evaluator | undefined,
    } = {},
  ) =>
    makeVersion(
      {
        ...{ store, blobs, shelf, clock: systemClock, logger, noise, reckon },
        ...(evaluator === undefined ? {} : { evaluator }),
      },
      task,
      { version, weights, optimizerState: undefined },
      { ...round, claim, contributors: [] },
      sum,
      signal,
    );
  return { store, sumOf, release, logged, task };
}

/** The deltas of so many clients, all different. */
const clients = (count: number) =>
  Array.from({ length: count }, (_, k) => [0.01 * k, Math.sin(k), -0.3, 5 * Math.cos(k)]);

describe("the release of a private round", () => {
  test("[DP22] draws no noise before its charge is in the ledger for good", async () => {
    const { sumOf, release, store } = await startWorld();
    const order: string[] = [];
    const reserve = store.reserveLedger;
    store.reserveLedger = async (event) => {
      order.push("asked");
      await reserve(event);
      order.push("reserved");
    };
    const listening: IntegerNoise = { add: async () => void order.push("noise") };
    await release(sumOf(clients(3)), listening);
    expect(order).toEqual(["asked", "reserved", "noise"]);
    store.reserveLedger = () => Promise.reject(new Error("the disk is full"));
    order.length = 0;
    await expect(release(sumOf(clients(3)), listening)).rejects.toThrow("the disk is full");
    expect(order).toEqual([]);
  });

  test("[DP25] a round that was given up while its budget was asked about charges and releases nothing", async () => {
    const { sumOf, release, store, task } = await startWorld();
    const giveUp = new AbortController();
    const reckon: Reckon = async (ask) => {
      const answer = ask();
      giveUp.abort(new Error("given up"));
      return answer;
    };
    const noise: IntegerNoise = { add: () => Promise.reject(new Error("noise was drawn")) };
    const { signal } = giveUp;
    await expect(release(sumOf(clients(3)), noise, { reckon, signal })).rejects.toThrow("given up");
    expect(await store.listLedger(task.taskId)).toEqual([]);
  });

  test("[EV10] what an evaluator does to the weights that it got changes no model", async () => {
    const { sumOf, release, task } = await startWorld();
    let got: Float32Array = new Float32Array(0);
    const evaluator: Evaluator = {
      evaluate: async (weights) => {
        got = weights.fill(7);
        return { source: "central", numExamples: 1, loss: 0 };
      },
    };
    const { version, weights } = await release(sumOf(clients(3)), sameNoise, { evaluator });
    const plain = await release(sumOf(clients(3)), sameNoise);
    expect(version.digest).toBe(plain.version.digest);
    got.fill(9);
    expect(weights).toEqual(plain.weights);
    const frame = encodeCheckpoint(task.layout, { modelVersion: 1, weights });
    expect(await sha256(frame)).toBe(version.digest);
  });

  test("[DP6] denominator and noise are those of the task, whoever answered: at 0, 30, 70 and 90 % drop-out", async () => {
    const { sumOf, release } = await startWorld();
    const seen: number[] = [];
    const listening: IntegerNoise = { add: async (_, stddev) => void seen.push(stddev) };
    for (const reports of [10, 7, 3, 1]) {
      const sum = sumOf(clients(10).slice(0, reports));
      const { weights } = await release(sum, listening);
      if (sum.kind !== "grid") throw new Error("a private round has a sum on a grid");
      expect([...weights]).toEqual(
        [...sum.sum()].map((steps) => Math.fround((steps * sum.grid.step) / 10)),
      );
      expect(seen.at(-1)).toBe(sum.grid.noiseStddevSteps);
    }
    expect(new Set(seen).size).toBe(1);
    expect(seen[0]).toBe(2 ** 20 + 1);
  });

  test("[GR3] with the same noise any order of clients gives the same checkpoint, bit for bit", async () => {
    const { sumOf, release } = await startWorld();
    const deltas = clients(9);
    const inOrder = await release(sumOf(deltas), sameNoise);
    for (const reordered of [[...deltas].reverse(), [...deltas.slice(4), ...deltas.slice(0, 4)]]) {
      const other = await release(sumOf(reordered), sameNoise);
      expect(other.version.digest).toBe(inOrder.version.digest);
    }
    const fewer = await release(sumOf(deltas.slice(1)), sameNoise);
    expect(fewer.version.digest).not.toBe(inOrder.version.digest);
  });

  test("[GR4] one client, present or absent, moves the mean before noise by at most C / m, for every m", async () => {
    const anything = fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }), {
      minLength: PARAMETERS,
      maxLength: PARAMETERS,
    });
    for (const population of [2, 30, 1_000]) {
      const sampler = { kind: "poisson" as const, samplingRate: 0.5, population };
      const { sumOf, release } = await startWorld({ sampler });
      const denominator = population / 2;
      await fc.assert(
        fc.asyncProperty(fc.array(anything, { maxLength: 12 }), anything, async (others, extra) => {
          const without = await release(sumOf(others), noNoise);
          const { weights } = await release(sumOf([...others, extra]), noNoise);
          const change = weights.map((value, i) => value - without.weights[i]!);
          // A step of 2^-20, and what float32 checkpoints round.
          expect(l2Norm(change)).toBeLessThanOrEqual(
            (1 + 2 ** -20 + 1e-6 * (others.length + 1)) / denominator,
          );
        }),
        { numRuns: 40 },
      );
    }
  });

  test("[GR5] what is refused leaves ledger and sum as they were, and the round goes on with the rest", async () => {
    const { store, sumOf, release } = await startWorld();
    const sum = sumOf(clients(3));
    const sound = sumOf(clients(3));
    for (const bad of [Number.NaN, Infinity, -Infinity, 1e308]) {
      const delta = Float32Array.of(0.5, bad, 1e30, -0);
      expect(() => sum.add({ delta: denseDelta(delta), numExamples: 1 })).toThrow(RangeError);
    }
    for (const length of [0, 3, 5]) {
      expect(() =>
        sum.add({ delta: denseDelta(new Float32Array(length)), numExamples: 1 }),
      ).toThrow(RangeError);
    }
    expect(await store.listLedger(taskId)).toEqual([]);
    const made = await release(sum, sameNoise);
    expect(made.version.digest).toBe((await release(sound, sameNoise)).version.digest);
    expect(await store.listLedger(taskId)).toHaveLength(1);
  });

  test("[DP7] noise that fails, does not finish or leaves the grid releases nothing; the charge stays", async () => {
    const failing: Record<string, IntegerNoise> = {
      "the worker died": { add: () => Promise.reject(new Error("the worker died")) },
      "whole numbers": { add: async (sum) => void (sum[2] = 0.25) },
      "whole numbers below 2^53": { add: async (sum) => void (sum[0] = Number.NaN) },
    };
    for (const [why, noise] of Object.entries(failing)) {
      const { store, sumOf, release } = await startWorld();
      await expect(release(sumOf(clients(3)), noise)).rejects.toThrow(why);
      expect(await store.listLedger(taskId)).toMatchObject([{ status: "reserved" }]);
      expect(await store.getModelVersion(taskId, 1)).toBeUndefined();
    }
  });

  test("[GR7] a failed release tells nothing of the sum: not in its error, not in the log", async () => {
    const { sumOf, release, logged } = await startWorld();
    const canary = [0.12345679, -0.23456789, 0.34567891, 0.45678912];
    const sum = sumOf([canary]);
    if (sum.kind !== "grid") throw new Error("a private round has a sum on a grid");
    const secrets = [...sum.sum()].flatMap((steps) => [steps, steps * sum.grid.step].map(String));
    const failing: IntegerNoise[] = [
      { add: async (values) => void (values[0]! += 0.5) },
      { add: async (values) => void (values[1] = Infinity) },
    ];
    for (const noise of failing) {
      const error: unknown = await release(sum, noise).catch((reason: unknown) => reason);
      const told = [error, ...logged]
        .map((what) =>
          what instanceof Error ? `${what.message}\n${what.stack}` : JSON.stringify(what),
        )
        .join("\n");
      expect(told).toContain("whole numbers");
      for (const secret of secrets) expect(told).not.toContain(secret.slice(1, 8));
    }
  });

  test("[DP6] a private task has no way to a plain mean, and a plain one none to a private sum", async () => {
    const secret = await startWorld();
    const plain = await startWorld({ privacy: { mechanism: "none" } });
    const { release, sumOf, store } = secret;
    await expect(release(plain.sumOf(clients(2)), sameNoise)).rejects.toThrow("plain mean");
    await expect(plain.release(sumOf(clients(2)), sameNoise)).rejects.toThrow("without a charge");
    expect(await store.listLedger(taskId)).toEqual([]);
    expect("mean" in sumOf([])).toBe(false);
  });
});
