/**
 * Many rounds in one process: a real coordinator on SQLite with retention, and real SDK clients on loopback
 * sockets. Samples what could grow (the heap after a forced collection, handles, listeners) while it runs.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

import { createClient } from "@tributary/client-sdk";
import { createCoordinator } from "@tributary/coordinator";
import type { TaskId } from "@tributary/protocol";

export interface SoakOptions {
  readonly rounds: number;
  readonly clients: number;
}

/** What is there after so many rounds. */
export interface SoakSample {
  readonly round: number;
  /** After a forced collection. */
  readonly heapBytes: number;
  /** Buffers outside the heap. */
  readonly externalBytes: number;
  /** Open handles by kind: timers, sockets, files. */
  readonly resources: Readonly<Record<string, number>>;
  /** Listeners on the process. */
  readonly listeners: number;
}

export interface SoakReport extends SoakOptions {
  readonly committed: number;
  readonly abandoned: number;
  readonly durationSeconds: number;
  readonly samples: readonly SoakSample[];
  /** Bytes of heap and buffers that a round leaves behind, over the second half: the median of all slopes. */
  readonly bytesPerRound: number;
  /** Of the second half: how far each kind of handle rose above its first count. */
  readonly risen: Readonly<Record<string, number>>;
  /** Handles that are still open when everything is closed, and were not before anything began. */
  readonly leftOpen: Readonly<Record<string, number>>;
}

const TASK = "soak" as TaskId;
const SAMPLES = 40;
/** An update of 40 KB: one that is kept by mistake in each round stands out of what warms up. */
const TENSORS = [{ name: "w", shape: [10_000] }];
const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

export async function soak({ rounds, clients: count }: SoakOptions): Promise<SoakReport> {
  const directory = await mkdtemp(join(tmpdir(), "tributary-soak-"));
  const before = countResources();
  const startedAt = performance.now();
  const samples: SoakSample[] = [];
  const every = Math.max(1, Math.floor(rounds / SAMPLES));
  try {
    const coordinator = await createCoordinator({
      logger: quiet,
      config: {
        server: { host: "127.0.0.1", port: 0 },
        storage: { kind: "sqlite", directory },
        retention: { rounds: 10, modelVersions: 2 },
        // A viewer's memory of events is meant to fill up: soon, so that what rises later is a leak.
        events: { remember: 100 },
      },
    });
    let committed = 0;
    let abandoned = 0;
    const ended = new Promise<void>((resolve) => {
      coordinator.events.subscribe((event) => {
        if (event.type === "task:stateChanged" && event.data.state === "ended") resolve();
        if (event.type !== "round:phaseChanged" || event.data.endedAt === undefined) return;
        if (event.data.phase === "committed") committed += 1;
        else abandoned += 1;
        const { roundNumber } = event.data;
        // Between two rounds, when nothing is under way.
        if (roundNumber % every === 0) setImmediate(() => samples.push(takeSample(roundNumber)));
      });
    });
    const { url } = await coordinator.listen();
    await coordinator.tasks.create({
      taskId: TASK,
      model: { tensors: TENSORS },
      sampler: { kind: "all" },
      serverOptimizer: { kind: "momentum", learningRate: 1, momentum: 0.5 },
      schedule: { minClients: count, minReports: count },
      stop: { maxRounds: rounds },
    });
    const clients = Array.from({ length: count }, () => createClient({ url }));
    const joined = clients.map((client) =>
      client.join(TASK, {
        trainer: {
          train: async ({ weights }) => ({
            weights: weights.map((weight) => weight + 1e-3),
            numExamples: 1,
            metrics: {},
          }),
        },
      }),
    );
    await Promise.all([ended, ...joined.map(({ done }) => done)]);
    await Promise.all(clients.map((client) => client.close()));
    await coordinator.close();
    const durationSeconds = Math.round((performance.now() - startedAt) / 100) / 10;
    const later = samples.slice(Math.floor(samples.length / 2));
    return {
      ...{ rounds, clients: count, committed, abandoned, durationSeconds, samples },
      bytesPerRound: Math.round(slopeOf(later)),
      risen: riseOf(later),
      leftOpen: await leftOver(before),
    };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function takeSample(round: number): SoakSample {
  collect();
  // The first one only finds the memory of kernels, the second gives it back.
  collect();
  const { heapUsed, external, arrayBuffers } = process.memoryUsage();
  return {
    round,
    heapBytes: heapUsed,
    externalBytes: external + arrayBuffers,
    resources: countResources(),
    listeners: process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0),
  };
}

function countResources(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

/** Theil-Sen: the median of the slopes of all pairs, which no single outlier moves. */
export function slopeOf(samples: readonly SoakSample[]): number {
  const slopes: number[] = [];
  for (const [i, a] of samples.entries()) {
    for (const b of samples.slice(i + 1)) {
      const risen = b.heapBytes + b.externalBytes - a.heapBytes - a.externalBytes;
      slopes.push(risen / (b.round - a.round));
    }
  }
  slopes.sort((a, b) => a - b);
  return slopes[Math.floor(slopes.length / 2)] ?? 0;
}

/** The lowest count of the last samples against the highest of the first ones: noise cancels, leaks do not. */
export function riseOf(samples: readonly SoakSample[]): Record<string, number> {
  const third = Math.max(1, Math.floor(samples.length / 3));
  const counts = (part: readonly SoakSample[], kind: string) =>
    part.map(({ resources, listeners }) =>
      kind === "listeners" ? listeners : (resources[kind] ?? 0),
    );
  const kinds = new Set(samples.flatMap(({ resources }) => Object.keys(resources)));
  const risen: Record<string, number> = {};
  for (const kind of [...kinds, "listeners"]) {
    const first = Math.max(...counts(samples.slice(0, third), kind));
    const last = Math.min(...counts(samples.slice(-third), kind));
    if (last > first) risen[kind] = last - first;
  }
  return risen;
}

/** Kept-alive connections of `fetch` end by themselves after seconds; what is left after that leaks. */
async function leftOver(before: Readonly<Record<string, number>>): Promise<Record<string, number>> {
  for (const until = performance.now() + 15_000; ;) {
    const left = Object.entries(countResources())
      .map(([kind, count]) => [kind, count - (before[kind] ?? 0)] as const)
      // The wait itself has a timer or two; a file is being read somewhere by whoever runs us.
      .filter(([kind, count]) => count > 0 && kind.startsWith("TCP"));
    if (left.length === 0 || performance.now() > until) return Object.fromEntries(left);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
