/** Tasks, rounds and events as the API would answer with them, for tests. */

import type {
  Digest,
  MonitoringEvent,
  ParticipantCounts,
  RoundId,
  RoundResource,
  TaskHistory,
  TaskId,
  TaskResource,
} from "@tributary/protocol";

export const START_MS = Date.parse("2026-01-02T03:00:00.000Z");
const AT = new Date(START_MS).toISOString();
const DIGEST = "ab".repeat(32) as Digest;

type Facts<T> = { readonly [K in keyof T]?: T[K] | undefined };

/** Takes fields that are named as undefined away. */
function withFacts<T extends object>(base: T, facts: Facts<T>): T {
  return Object.fromEntries(
    Object.entries({ ...base, ...facts }).filter(([, value]) => value !== undefined),
  ) as T;
}

export const checkpointOf = (modelVersion: number): TaskResource["checkpoint"] => ({
  modelVersion,
  digest: DIGEST,
  bytes: 1000,
  url: `/v1/checkpoints/${DIGEST}`,
  signed: { manifest: "{}", signature: "s", publicKey: "k" } as never,
});

export function taskOf(facts: Facts<TaskResource> = {}): TaskResource {
  const taskId = facts.taskId ?? ("digits" as TaskId);
  const base: TaskResource = {
    taskId,
    state: "running",
    createdAt: AT,
    spec: {
      taskId,
      description: "",
      model: { tensors: [{ name: "w", shape: [2] }] },
      plan: {
        epochs: 1,
        batchSize: 10,
        learningRate: 0.1,
        optimizer: { kind: "sgd" },
        proximalMu: 0,
        encoding: { kind: "float32" },
        compression: "none",
      },
      sampler: { kind: "uniform", cohortSize: 8, overSelection: 0.5 },
      weighting: { kind: "uniform" },
      aggregation: { kind: "mean" },
      serverOptimizer: { kind: "sgd", learningRate: 1 },
      schedule: {
        minClients: 10,
        minReports: 3,
        selectionDeadlineMs: 1000,
        reportWindowMs: 1000,
        aggregationDeadlineMs: 1000,
        pauseBetweenRoundsMs: 0,
      },
      stop: {},
      evaluation: { kind: "none" },
      privacy: { mechanism: "none" },
    },
    layout: { tensors: [{ name: "w", shape: [2] }], parameterCount: 2, digest: DIGEST } as never,
    checkpoint: checkpointOf(0),
    roundsCommitted: 0,
    roundsAbandoned: 0,
    clientsWaiting: 4,
  };
  return withFacts(base, facts);
}

/** Of a task under central noise, as whoever is not the operator sees it. */
export function privateTaskOf(facts: Facts<TaskResource> = {}): TaskResource {
  const task = taskOf({ clientsWaiting: undefined, ...facts });
  return {
    ...task,
    spec: {
      ...task.spec,
      aggregation: { kind: "mean" },
      weighting: { kind: "uniform" },
      clippingNorm: 1,
      privacy: { mechanism: "central", noiseMultiplier: 1, delta: 1e-6, maxEpsilon: 8 },
    },
  };
}

export const countsOf = (facts: Partial<ParticipantCounts> = {}): ParticipantCounts => ({
  selected: 0,
  reported: 0,
  pending: 0,
  declined: 0,
  left: 0,
  disconnected: 0,
  rejected: 0,
  timedOut: 0,
  ...facts,
});

/** A round that opened `roundNumber` minutes after the start; without facts it is still selecting. */
export function roundOf(roundNumber: number, facts: Facts<RoundResource> = {}): RoundResource {
  const taskId = facts.taskId ?? ("digits" as TaskId);
  const base: RoundResource = {
    roundId: `${taskId}.${roundNumber}` as RoundId,
    taskId,
    roundNumber,
    phase: "selecting",
    baseModelVersion: roundNumber - 1,
    openedAt: new Date(START_MS + 60_000 * roundNumber).toISOString(),
    phases: [],
    participants: countsOf(),
    rejections: {},
    updateBytes: 0,
  };
  return withFacts(base, facts);
}

/** A round that was committed half a minute after it opened. */
export const committedOf = (roundNumber: number, facts: Facts<RoundResource> = {}) =>
  roundOf(roundNumber, {
    phase: "committed",
    modelVersion: roundNumber,
    endedAt: new Date(START_MS + 60_000 * roundNumber + 30_000).toISOString(),
    ...facts,
  });

export const roundEvent = (
  data: RoundResource,
  type: "round:phaseChanged" | "round:progress" = "round:phaseChanged",
): MonitoringEvent => ({
  id: "1",
  type,
  at: data.endedAt ?? data.openedAt,
  taskId: data.taskId,
  data,
});

/** Ended rounds as the API has them in columns, oldest first. */
export const historyOf = (rounds: readonly RoundResource[]): TaskHistory => ({
  taskId: "digits" as TaskId,
  roundNumber: rounds.map(({ roundNumber }) => roundNumber),
  baseModelVersion: rounds.map(({ baseModelVersion }) => baseModelVersion),
  modelVersion: rounds.map(({ modelVersion }) => modelVersion ?? null),
  openedAtMs: rounds.map(({ openedAt }) => Date.parse(openedAt)),
  endedAtMs: rounds.map(({ endedAt = "" }) => Date.parse(endedAt)),
  accuracy: rounds.map(({ evaluation }) => evaluation?.accuracy ?? null),
  ...(rounds.some(({ reason }) => reason !== undefined)
    ? { reason: rounds.map(({ reason }) => reason ?? null) }
    : {}),
});
