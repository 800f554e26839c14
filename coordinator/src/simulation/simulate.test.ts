import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { isFederatedError } from "@tributary/protocol";
import { describe, expect, test } from "vitest";

import type { ClientPopulation, SimulatedRound, SimulationOptions } from "./index.ts";
import { simulate, syntheticClients } from "./index.ts";

const TASK = {
  taskId: "t",
  model: { tensors: [{ name: "w", shape: [20] }] },
  sampler: { kind: "uniform", cohortSize: 20, overSelection: 0.5 },
  stop: { maxRounds: 3 },
};
const UNRELIABLE = {
  dropOut: { declines: 0.05, training: 0.1, upload: 0.05, silentShare: 0.5 },
  availability: { onlineShare: 0.7, dayAmplitude: 0.5 },
};
const inThreads = (clients: number) => ({ kind: "synthetic", options: { clients } }) as const;
/** The same clients in this thread, for where threads are not the point. */
const synthetic = (clients: number) =>
  ({ kind: "program", source: syntheticClients({ clients }) }) as const;

/** Clients that add 1 to each weight, in this thread. */
const adding = (population: Partial<ClientPopulation> = {}) =>
  ({
    kind: "program",
    source: () => ({
      size: 10,
      trainer: () => ({
        train: async ({ weights }: { weights: Float32Array }) => ({
          weights: weights.map((value) => value + 1),
          numExamples: 1,
          metrics: {},
        }),
      }),
      ...population,
    }),
  }) as const;

/** All of ten clients, each of which adds 1: versions of whole numbers. */
const run = (options: Partial<SimulationOptions> = {}, task: object = {}) =>
  simulate({
    task: {
      taskId: "t",
      model: { tensors: [{ name: "w", shape: [3] }] },
      sampler: { kind: "all" },
      schedule: { minClients: 10, minReports: 2, reportWindowMs: 60_000 },
      stop: { maxRounds: 2 },
      ...task,
    },
    clients: adding(),
    behaviour: { training: { deviceSpread: 0, roundSpread: 0 }, network: { spread: 0 } },
    ...options,
  });

describe("a simulation", () => {
  test("[SI1] the same settings give the same bytes and the same report, twice and in one or two threads", async () => {
    const options = { task: TASK, clients: inThreads(200), behaviour: UNRELIABLE, seed: 7 };
    const first = await simulate({ ...options, threads: 1 });
    for (const threads of [1, 2]) {
      const again = await simulate({ ...options, threads });
      expect(again.report).toEqual(first.report);
      expect(again.weights).toEqual(first.weights);
    }
    const other = await simulate({ ...options, seed: 8 });
    expect(other.report.model.digest).not.toBe(first.report.model.digest);
  });

  test("[SI1] what clients of a module draw without a seed is repeatable, in whatever thread they do", async () => {
    const folder = await mkdtemp(join(tmpdir(), "tributary-simulation-"));
    const file = join(folder, "clients.mjs");
    await writeFile(
      file,
      `export const clients = () => ({
        size: 40,
        trainer: () => ({
          train: async ({ weights, plan }) => ({
            weights: weights.map((weight) => weight + Math.random() + plan.seed / 2 ** 32),
            numExamples: 1 + Math.floor(10 * Math.random()),
            metrics: {},
          }),
        }),
      });`,
    );
    const options = { task: TASK, clients: { kind: "module", file } } as const;
    const one = await simulate({ ...options, threads: 1 });
    const two = await simulate({ ...options, threads: 2 });
    await rm(folder, { recursive: true });
    expect(one.report.failures).toBeUndefined();
    expect(two.report).toEqual(one.report);
  });

  test("[SI1] how fast a client really trains changes nothing", async () => {
    const slow = adding({
      trainer: (index) => ({
        train: async ({ weights }) => {
          // The first ones take the longest, in turns of the event loop.
          for (let i = index; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
          return { weights: weights.map((w) => w + index), numExamples: 1 + index, metrics: {} };
        },
      }),
    });
    const fast = adding({
      trainer: (index) => ({
        train: async ({ weights }) => ({
          weights: weights.map((w) => w + index),
          numExamples: 1 + index,
          metrics: {},
        }),
      }),
    });
    const [a, b] = [await run({ clients: slow }), await run({ clients: fast })];
    expect(a.report).toEqual(b.report);
  });

  test("[SI2] versions are those of the service's rounds", async () => {
    const { report, weights } = await run();
    expect(weights).toEqual(Float32Array.of(2, 2, 2));
    expect(report).toMatchObject({
      kind: "simulation",
      end: { kind: "taskEnded", reason: "maxRoundsReached" },
      totals: { committed: 2, abandoned: 0, counted: 20, clientsSelected: 10 },
      model: { modelVersion: 2 },
    });
  });

  test("[SI2] every encoding is written, checked and summed as in the service; what is not sent may stay with the client", async () => {
    const learned = async (encoding: object) => {
      const { report } = await simulate({
        task: {
          ...TASK,
          model: { tensors: [{ name: "w", shape: [500] }] },
          plan: { encoding },
          stop: { maxRounds: 12 },
        },
        clients: synthetic(40),
      });
      expect(report.totals).toMatchObject({ committed: 12, participants: { rejected: 0 } });
      return { loss: report.evaluation?.loss ?? NaN, each: report.totals.bytesUp / 240 };
    };
    const whole = await learned({ kind: "float32" });
    const int8 = await learned({ kind: "int8" });
    expect(int8.each).toBeLessThan(0.3 * whole.each);
    expect(int8.loss).toBeLessThan(1.2 * whole.loss);
    const topK = { kind: "topK", fraction: 0.2, values: "bfloat16" };
    const forgets = await learned({ ...topK, feedback: false });
    const keeps = await learned({ ...topK, feedback: true });
    expect(keeps.each).toBeLessThan(0.25 * whole.each);
    expect(forgets.loss).toBeLessThan(0.1);
    expect(keeps.loss).toBeLessThan(0.1);
    expect(keeps.loss).not.toBe(forgets.loss);
    const again = await learned({ ...topK, feedback: true });
    expect(again).toEqual(keeps);
  });

  test("[SI2] what clients keep back is what it was before where a round comes to nothing", async () => {
    let calls = 0;
    const clients = adding({
      size: 3,
      trainer: (index) => ({
        train: async ({ weights: [a = NaN, b = NaN] }) => {
          if (index === 2 && calls++ === 0) throw new Error("not now");
          return { weights: Float32Array.of(a + 3, b + 2), numExamples: 1, metrics: {} };
        },
      }),
    });
    const encoding = { kind: "topK", fraction: 0.5, values: "float32", feedback: true };
    const { report, weights } = await run(
      { clients },
      {
        model: { tensors: [{ name: "w", shape: [2] }] },
        plan: { encoding },
        schedule: { minClients: 3, minReports: 3, reportWindowMs: 60_000 },
        stop: { maxRounds: 1 },
      },
    );
    expect(report.rounds.map(({ phase }) => phase)).toEqual(["abandoned", "committed"]);
    // The larger number again: kept from a round that counts, the other one would have grown to 4.
    expect(weights).toEqual(Float32Array.of(3, 0));
  });

  test("[SI2] whatever the intake refuses is refused, and counted by its code", async () => {
    const wrong = adding({
      trainer: (index) => ({
        train: async ({ weights }) => ({
          weights,
          numExamples: 1,
          metrics:
            index === 0
              ? {
                  evaluation: {
                    ...{ numExamples: 1, lossSum: 1 },
                    ...{ truePositives: [1], falsePositives: [0], falseNegatives: [0] },
                  },
                }
              : {},
        }),
      }),
    });
    const { report } = await run(
      { clients: wrong },
      { evaluation: { kind: "federated", numClasses: 2 } },
    );
    expect(report.rounds[0]).toMatchObject({
      participants: { selected: 10, reported: 9, rejected: 1 },
      rejections: { MALFORMED_MESSAGE: 1 },
    });
  });
});

describe("virtual time", () => {
  const median = (ms: number) => ({
    training: { medianMs: ms, deviceSpread: 1, roundSpread: 0 },
  });
  const window = (reportWindowMs: number) => ({
    ...TASK,
    schedule: { minReports: 2, reportWindowMs },
  });
  const sum = (rounds: readonly SimulatedRound[], of: (round: SimulatedRound) => number) =>
    rounds.reduce((total, round) => total + of(round), 0);

  test("[SI3] stragglers time out at the report deadline, and over-selection makes up for them", async () => {
    const reportsOf = async (overSelection: number, reportWindowMs: number) => {
      const { report } = await simulate({
        task: {
          ...window(reportWindowMs),
          sampler: { kind: "uniform", cohortSize: 20, overSelection, seed: 1 },
        },
        clients: synthetic(200),
        behaviour: median(30_000),
      });
      return report.rounds;
    };
    const strict = await reportsOf(0, 30_000);
    // Half of a log-normal speed is above its median.
    expect(sum(strict, ({ participants }) => participants.timedOut)).toBeGreaterThan(10);
    for (const { reportingMs, participants } of strict) {
      expect(reportingMs).toBe(30_000);
      expect(participants.reported + participants.timedOut).toBe(20);
    }
    const patient = await reportsOf(0, 600_000);
    expect(patient.map(({ participants }) => participants.reported)).toEqual([20, 20, 20]);
    const over = await reportsOf(1, 600_000);
    expect(over.map(({ participants }) => participants.reported)).toEqual([20, 20, 20]);
    // It need not wait for the slowest.
    expect(sum(over, ({ durationMs }) => durationMs)).toBeLessThan(
      sum(patient, ({ durationMs }) => durationMs) / 2,
    );
  });

  test("[SI3] a round lasts as long as its clients take, whatever that takes here", async () => {
    const { report } = await run({
      behaviour: {
        arriveWithinMs: 0,
        training: { medianMs: 45_000, deviceSpread: 0, roundSpread: 0 },
        network: {
          ...{ spread: 0, latencyMs: 500 },
          ...{ downBytesPerSecond: 76, upBytesPerSecond: 108 },
        },
      },
    });
    // 76 bytes of checkpoint, 108 of an update as it is estimated: a second each, and twice the latency.
    expect(report.rounds.map(({ reportingMs }) => reportingMs)).toEqual([48_000, 48_000]);
    expect(report.totals.bytesDown).toBe(20 * 76);
  });

  test("[SI4] who drops out is counted under how it did, and places add up", async () => {
    const { report } = await simulate({
      task: { ...window(120_000), stop: { maxRounds: 20 } },
      clients: synthetic(300),
      behaviour: {
        ...UNRELIABLE,
        availability: { onlineShare: 1 },
        dropOut: { ...UNRELIABLE.dropOut, declines: 0.1, training: 0.2, upload: 0 },
      },
    });
    const { selected, reported, declined, disconnected, timedOut, left, rejected } =
      report.totals.participants;
    expect(selected).toBe(reported + declined + disconnected + timedOut + left + rejected);
    // Binomial: a tenth declines, a fifth of the others is gone, half of them without a word; four deviations.
    const near = (count: number, share: number) => {
      const mean = selected * share;
      expect(Math.abs(count - mean)).toBeLessThan(4 * Math.sqrt(mean * (1 - share)));
    };
    near(declined, 0.1);
    // Those of the over-selected whom the goal cut off count as timed out, and may have been about to leave.
    expect(disconnected).toBeGreaterThan(0.03 * selected);
    expect(disconnected).toBeLessThan(0.12 * selected);
    expect(timedOut).toBeGreaterThan(0.05 * selected);
  });

  test("[SI4] clients that are away miss rounds, and come back", async () => {
    const { report } = await simulate({
      task: {
        ...TASK,
        sampler: { kind: "all" },
        schedule: { minClients: 40, minReports: 2, selectionDeadlineMs: 86_400_000 },
      },
      clients: synthetic(100),
      behaviour: {
        arriveWithinMs: 0,
        restMs: 3_600_000,
        availability: { onlineShare: 0.5, visitMs: 1_800_000 },
      },
    });
    for (const { participants } of report.rounds) {
      expect(participants.selected).toBeGreaterThanOrEqual(40);
      expect(participants.selected).toBeLessThan(80);
    }
    expect(report.totals.clientsSelected).toBeGreaterThan(80);
  });
});

describe("clients", () => {
  test("[SI5] that cannot be made are told of, with a code", async () => {
    const none = { kind: "program", source: () => ({}) as unknown as ClientPopulation } as const;
    await expect(run({ clients: none })).rejects.toMatchObject({ code: "CONFIG_INVALID" });
    const failing = {
      kind: "program",
      source: () => Promise.reject(new Error("no data here")),
    } as const;
    await expect(run({ clients: failing })).rejects.toThrow(/no data here/);
    const tooMany = adding({ initialWeights: new Float32Array(4) });
    await expect(run({ clients: tooMany })).rejects.toThrow(/3 elements/);
  });

  test("[SI5] a task that asks for an evaluator needs one", async () => {
    const evaluation = { kind: "central", evaluator: "mine" };
    await expect(run({}, { evaluation })).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      details: { faults: [{ path: "evaluation.evaluator" }] },
    });
    const evaluator = {
      evaluate: async (weights: Float32Array) =>
        ({ source: "central", numExamples: 1, loss: weights[0]! }) as const,
    };
    const { report } = await run({ clients: adding({ evaluator }) }, { evaluation });
    expect(report.rounds.map((round) => round.evaluation?.loss)).toEqual([1, 2]);
    expect(report.evaluation).toMatchObject({ loss: 2, modelVersion: 2 });
  });

  test("[SI5] a trainer that throws costs a place, is counted, and quoted once", async () => {
    const failing = adding({
      trainer: (index) => ({
        train: async ({ weights }) => {
          if (index < 3) throw new Error("out of battery");
          return { weights, numExamples: 1, metrics: {} };
        },
      }),
    });
    const { report } = await run({ clients: failing });
    expect(report.failures).toEqual({ count: 6, first: "out of battery" });
    expect(report.totals.participants).toMatchObject({ reported: 14, declined: 6 });
  });

  test("[SI5] in threads fail by name, and the threads end", async () => {
    const clients = { kind: "module", file: "/nowhere/clients.js" } as const;
    await expect(run({ clients })).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  });
});

describe("settings", () => {
  test("[SI6] that are wrong are told all at once", async () => {
    const error: unknown = await run({ seed: -1, threads: 2.5, virtualMs: 0 }, { stop: {} }).catch(
      (e: unknown) => e,
    );
    expect(isFederatedError(error) && error.details?.faults).toMatchObject([
      { path: "seed" },
      { path: "threads" },
      { path: "virtualMs" },
      { path: "threads" },
    ]);
    await expect(run({ behaviour: { dropOut: { training: 2 } } })).rejects.toMatchObject({
      details: { faults: [{ path: "dropOut.training" }] },
    });
    await expect(run({}, { modle: {} })).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  });

  test("[SI6] a task without an end is refused, unless the simulation has one", async () => {
    await expect(run({}, { stop: {} })).rejects.toMatchObject({
      details: { faults: [{ path: "stop.maxRounds" }] },
    });
    const { report } = await run({ rounds: 1 }, { stop: {} });
    expect(report.totals.committed).toBe(1);
    const timed = await run({ virtualMs: 100_000 }, { stop: {} });
    expect(timed.report.end).toEqual({ kind: "timeIsUp" });
    expect(timed.report.totals.virtualMs).toBeLessThanOrEqual(100_000);
    expect(timed.report.totals.committed).toBeGreaterThan(1);
  });

  test("[SI6] clients that would keep more than memory holds are too many", async () => {
    const feedback = { kind: "topK", fraction: 0.1, values: "int8", feedback: true };
    await expect(
      run(
        { clients: adding({ size: 1_000_000 }) },
        { plan: { encoding: feedback }, model: { tensors: [{ name: "w", shape: [2000] }] } },
      ),
    ).rejects.toMatchObject({ details: { faults: [{ path: "plan.encoding.feedback" }] } });
  });

  test("[SI6] a task that gets nowhere ends", async () => {
    const { report } = await run({}, { schedule: { minClients: 11, minReports: 11 } });
    expect(report.end).toEqual({ kind: "stalled", abandonedInARow: 20 });
    expect(report.rounds.every(({ reason }) => reason === "tooFewClients")).toBe(true);
    expect(report.stall).toMatchObject({
      code: "SIMULATION_STALLED",
      abandoned: { tooFewClients: 20 },
      message: expect.stringContaining("schedule.minClients is 11") as string,
    });
  });
});

describe("under privacy", () => {
  const PRIVATE = {
    ...TASK,
    sampler: { kind: "poisson", samplingRate: 0.2, population: 100 },
    clippingNorm: 1,
    privacy: { mechanism: "central", noiseMultiplier: 2, delta: 1e-4, maxEpsilon: 100 },
  };
  const noisy = (privacy: object, seed = 1, task: object = {}) =>
    simulate({
      ...{ task: { ...PRIVATE, ...task, privacy: { ...PRIVATE.privacy, ...privacy } } },
      ...{ clients: synthetic(100), seed },
    });

  test("[SI7] noise and cohorts come from the seed, and the result says that it is not private", async () => {
    for (const noise of ["fast", "exact"]) {
      const [a, b, c] = [await noisy({ noise }), await noisy({ noise }), await noisy({ noise }, 2)];
      expect(a.report).toEqual(b.report);
      expect(a.report.model.digest).not.toBe(c.report.model.digest);
      expect(a.report.privacy).toMatchObject({ isPrivateRelease: false, mechanism: "central" });
      expect(a.report.privacy?.statement).toMatch(/^Nothing of this simulation is private/);
    }
  });

  test("[SI7] epsilon is what a real run would be charged, and its budget ends the task", async () => {
    const { report } = await noisy({ maxEpsilon: 1.2 }, 1, { stop: {} });
    expect(report.end).toEqual({ kind: "taskEnded", reason: "privacyBudgetExhausted" });
    const spent = report.rounds.map(({ epsilon }) => epsilon ?? 0);
    expect(spent).toEqual([...spent].sort((x, y) => x - y));
    expect(spent.at(-1)).toBeGreaterThan(0.9);
    expect(spent.at(-1)).toBeLessThanOrEqual(1.2);
    expect(report.privacy?.epsilonOfRealRun).toBe(spent.at(-1));
  });

  test("[SI7] local noise passes the checks that noisy updates must pass, and clients keep their budgets", async () => {
    const { report } = await simulate({
      task: {
        ...TASK,
        sampler: { kind: "all" },
        schedule: { minClients: 50, minReports: 10, selectionDeadlineMs: 60_000 },
        clippingNorm: 1,
        privacy: { mechanism: "local", noiseMultiplier: 2, delta: 1e-4, maxEpsilon: 3 },
        stop: { maxRounds: 50 },
      },
      clients: synthetic(100),
    });
    expect(report.rounds[0]?.rejections).toEqual({});
    expect(report.totals.committed).toBeGreaterThan(1);
    expect(report.privacy?.epsilonOfRealRun).toBeGreaterThan(1.5);
    expect(report.privacy?.epsilonOfRealRun).toBeLessThanOrEqual(3);
    expect(report.end).not.toEqual({ kind: "taskEnded", reason: "maxRoundsReached" });
  });

  test("[SI7] a matrix run keeps its limits", async () => {
    const { report } = await simulate({
      task: {
        ...TASK,
        sampler: { kind: "uniform", cohortSize: 20, overSelection: 0 },
        clippingNorm: 1,
        privacy: {
          ...{ mechanism: "matrix", noiseMultiplier: 1, delta: 1e-4, maxEpsilon: 50 },
          ...{ rounds: 4, minSeparation: 2, maxParticipations: 2 },
        },
        stop: {},
      },
      clients: synthetic(60),
    });
    expect(report.end).toEqual({ kind: "taskEnded", reason: "maxRoundsReached" });
    expect(report.totals.committed).toBe(4);
  });
});

test("[SI8] an interruption ends it with the rounds that there are", async () => {
  const interruption = new AbortController();
  const whole = await run({}, { stop: { maxRounds: 5 } });
  const { report } = await run(
    {
      signal: interruption.signal,
      onRound: ({ roundNumber }) => {
        if (roundNumber === 2) interruption.abort();
      },
    },
    { stop: { maxRounds: 5 } },
  );
  expect(report.end).toEqual({ kind: "interrupted" });
  expect(report.rounds).toEqual(whole.report.rounds.slice(0, 2));
  expect(report.model.modelVersion).toBe(2);
});

test("[SI8] an interruption does not wait for a client that trains", async () => {
  const interruption = new AbortController();
  const endless = adding({
    trainer: () => ({
      train: ({ signal }) => {
        interruption.abort();
        return new Promise((_, reject) => {
          const stop = () => reject(new Error("stopped"));
          if (signal.aborted) stop();
          else signal.addEventListener("abort", stop);
        });
      },
    }),
  });
  const { report } = await run({ clients: endless, signal: interruption.signal });
  expect(report).toMatchObject({ end: { kind: "interrupted" }, rounds: [] });
});

test("[SI8] an interruption is heard while clients only come and go and nobody trains", async () => {
  const interruption = new AbortController();
  const { report } = await run({
    behaviour: { availability: { onlineShare: 0.1, visitMs: 1 } },
    virtualMs: 60_000,
    signal: interruption.signal,
    // As a signal of the system does, which waits for a turn of the event loop.
    onProgress: () => void setImmediate(() => interruption.abort()),
  });
  expect(report).toMatchObject({ end: { kind: "interrupted" }, rounds: [] });
});

test("[SI5] synthetic clients learn what they are made to learn", async () => {
  const { report } = await simulate({
    task: { ...TASK, stop: { maxRounds: 10 } },
    clients: synthetic(100),
  });
  const losses = report.rounds.map(({ evaluation }) => evaluation?.loss ?? NaN);
  expect(losses[0]).toBeLessThan(0.4);
  expect(losses.at(-1)).toBeLessThan(0.05);
});
