/** Records that the conformance suites put into a store. Every optional field occurs, and is missing, somewhere. */

import type {
  ClientId,
  Digest,
  Evaluation,
  SignedManifest,
  TaskId,
  TaskSpec,
} from "@tributary/protocol";
import { createLayout, roundIdOf } from "@tributary/protocol";

import type {
  AbandonedRoundRecord,
  CommittedRoundRecord,
  LedgerEvent,
  ModelVersionRecord,
  OpenRoundRecord,
  RoundCommit,
  TaskRecord,
} from "../../coordinator/src/ports.ts";

export const taskId = (name: string) => name as TaskId;
export const clientIds = (count: number, prefix = "client") =>
  Array.from({ length: count }, (_, i) => `${prefix}-${i}` as ClientId);
export const digestOf = (digit: string) => digit.repeat(64) as Digest;

const tensors = [
  { name: "dense/kernel", shape: [3, 2] },
  { name: "dense/bias", shape: [2] },
];
const layout = await createLayout(tensors);

export type TaskKind = "plain" | "private" | "matrix" | "adaptive";

/** A task without privacy, or with it; where it is adaptive, versions carry the norm of the next round. */
export function taskRecord(name: string, kind: TaskKind = "plain"): TaskRecord {
  const base = {
    taskId: taskId(name),
    description: "two hospitals, “one” model – ünïcode \u0000 and 'quotes'",
    model: { tensors },
    plan: {
      epochs: 1,
      batchSize: 10,
      learningRate: 0.1,
      optimizer: { kind: "sgd" },
      proximalMu: 0,
      encoding: { kind: "float32" },
      compression: "none",
    },
    sampler: { kind: "poisson", samplingRate: 0.01, population: 10_000 },
    aggregation: { kind: "mean" },
    serverOptimizer: { kind: "adam", learningRate: 0.1, beta1: 0.9, beta2: 0.99, tau: 1e-3 },
    schedule: {
      minClients: 2,
      minReports: 1,
      selectionDeadlineMs: 60_000,
      reportWindowMs: 600_000,
      aggregationDeadlineMs: 60_000,
      pauseBetweenRoundsMs: 0,
    },
    stop: { maxRounds: 100, target: { metric: "accuracy", value: 0.97 } },
    evaluation: { kind: "federated", numClasses: 2 },
  } as const;
  const spec: TaskSpec =
    kind === "plain"
      ? { ...base, privacy: { mechanism: "none" }, weighting: { kind: "byExamples", cap: 600 } }
      : {
          ...base,
          privacy:
            kind === "matrix"
              ? {
                  ...{ mechanism: "matrix", noiseMultiplier: 1.1, delta: 1e-5, maxEpsilon: 8 },
                  factorization: { kind: "blt", decays: [0.9], scales: [0.5] },
                  ...{ rounds: 3, minSeparation: 2, maxParticipations: 2 },
                }
              : {
                  ...{ mechanism: "central", noiseMultiplier: 1.1, delta: 1e-5, maxEpsilon: 8 },
                  ...(kind === "adaptive" ? { adaptiveClipping } : {}),
                },
          weighting: { kind: "uniform" },
          clippingNorm: 0.5,
        };
  return { taskId: spec.taskId, spec, layout, state: "running", createdAt: 1_760_000_000_123 };
}

const adaptiveClipping = {
  ...{ targetQuantile: 0.5, learningRate: 0.2, bitNoiseStddev: 5, minNorm: 1e-12, maxNorm: 1e12 },
};

export function versionRecord(
  name: string,
  modelVersion: number,
  extra: Partial<ModelVersionRecord> = {},
): ModelVersionRecord {
  return {
    taskId: taskId(name),
    modelVersion,
    digest: digestOf((modelVersion % 10).toString()),
    bytes: 4096,
    createdAt: 1_760_000_001_000 + modelVersion,
    ...(modelVersion === 0 ? {} : { roundNumber: modelVersion }),
    signed: signature("A", modelVersion),
    ...extra,
  };
}

/** A signature as a store sees it: three texts. */
export function signature(keyLetter: string, modelVersion: number): SignedManifest {
  return {
    manifest: `{"modelVersion":${modelVersion},"words":"ε ≤ 8"}`,
    publicKey: keyLetter.repeat(43) as SignedManifest["publicKey"],
    signature: keyLetter.repeat(86),
  };
}

export function evaluation(accuracy: number, source: Evaluation["source"] = "central"): Evaluation {
  return {
    source,
    numExamples: 1000,
    loss: 1 - accuracy + Number.EPSILON,
    accuracy,
    macro: { precision: 1 / 3, recall: 2 / 3, f1: 0.1 + 0.2 },
    perClass: [{ precision: 5e-324, recall: 1.7976931348623157e308, f1: 0, support: 500 }],
  };
}

export function openRound(
  name: string,
  roundNumber: number,
  extra: Partial<OpenRoundRecord> = {},
): OpenRoundRecord {
  return {
    roundId: roundIdOf(taskId(name), roundNumber),
    taskId: taskId(name),
    roundNumber,
    baseModelVersion: 0,
    openedAt: 1_760_000_002_000 + roundNumber,
    phase: "selecting",
    phases: [],
    participants: {
      selected: 0,
      reported: 0,
      pending: 0,
      declined: 0,
      left: 0,
      disconnected: 0,
      rejected: 0,
      timedOut: 0,
    },
    rejections: {},
    updateBytes: 0,
    ...extra,
  };
}

const timings = [
  { phase: "selecting", startedAt: "2025-10-09T08:53:20.000Z", durationMs: 0.001 },
  { phase: "reporting", startedAt: "2025-10-09T08:53:21.000Z", durationMs: 61_234.567 },
] as const;

export function committedRound(
  open: OpenRoundRecord,
  modelVersion: number,
  extra: Partial<CommittedRoundRecord> = {},
): CommittedRoundRecord {
  return {
    ...open,
    phase: "committed",
    phases: timings,
    participants: { ...open.participants, selected: 4, reported: 2, rejected: 2 },
    rejections: { UPDATE_NOT_FINITE: 1, UPDATE_TOO_LARGE: 1 },
    updateBytes: 2 ** 40 + 1,
    modelVersion,
    endedAt: open.openedAt + 90_000,
    ...extra,
  };
}

export function abandonedRound(open: OpenRoundRecord): AbandonedRoundRecord {
  return {
    ...open,
    phase: "abandoned",
    phases: timings,
    reason: "tooFewReports",
    endedAt: open.openedAt + 60_000,
  };
}

/** The commit of an open round that makes `modelVersion`, with nothing optional in it. */
export function commitOf(
  open: OpenRoundRecord,
  modelVersion: number,
  extra: Partial<RoundCommit> = {},
): RoundCommit {
  const { roundNumber } = open;
  return {
    round: committedRound(open, modelVersion),
    version: versionRecord(open.taskId, modelVersion, { roundNumber }),
    reported: clientIds(2),
    releaseLedger: false,
    ...extra,
  };
}

export function reservation(
  open: Pick<OpenRoundRecord, "roundId" | "taskId">,
  extra: Partial<LedgerEvent> = {},
): LedgerEvent {
  return {
    roundId: open.roundId,
    taskId: open.taskId,
    charge: {
      mechanism: "gaussian",
      noiseMultiplier: 1.1,
      claim: { kind: "poisson", samplingRate: 0.01 },
    },
    status: "reserved",
    reservedAt: 1_760_000_003_000,
    ...extra,
  };
}
