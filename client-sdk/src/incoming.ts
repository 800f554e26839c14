/**
 * What a coordinator says, before anything of it is believed: a message is as the protocol has it, or none.
 * Fields and values that only a newer coordinator knows pass where nothing here depends on them.
 */

import type {
  Assignment,
  CheckInReply,
  CheckpointRef,
  Layout,
  LocalNoise,
  ModelPublished,
  ParticipationLimits,
  Receipt,
  RoundClosed,
  TaskBrief,
  TaskEnded,
  TaskPaused,
  TensorLayout,
  TrainingPlan,
} from "@tributary/protocol";
import {
  FRAME_HEADER_BYTES,
  isClientId,
  isDigest,
  isRoundId,
  isTaskId,
  MAX_PARAMETERS,
} from "@tributary/protocol";

type Check = (value: unknown) => boolean;
/** A field that is forgotten here does not compile. */
type Fields<T> = { readonly [K in keyof T]-?: Check };

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const shaped =
  <T>(fields: Fields<T>) =>
  (value: unknown): value is T =>
    isObject(value) &&
    Object.entries<Check>(fields).every(([name, check]) =>
      check(Object.hasOwn(value, name) ? value[name] : undefined),
    );

const anything: Check = () => true;
const optional =
  (check: Check): Check =>
  (value) =>
    value === undefined || check(value);
const listOf =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(check);
const isText: Check = (value) => typeof value === "string";
const isFlag: Check = (value) => typeof value === "boolean";
const isNumber: Check = (value) => Number.isFinite(value);
const isPositive: Check = (value) => Number.isFinite(value) && Number(value) > 0;
const isNotNegative: Check = (value) => Number.isFinite(value) && Number(value) >= 0;
const isCount: Check = (value) => Number.isSafeInteger(value) && Number(value) >= 0;
const isCountFromOne: Check = (value) => isCount(value) && value !== 0;
const isInstant: Check = (value) => typeof value === "string" && !Number.isNaN(Date.parse(value));
/** As a header can carry it; anything else would fail every upload anew. */
const isToken: Check = (value) => typeof value === "string" && /^[\x21-\x7e]+$/.test(value);

/** No client takes memory for more than a frame can have. */
const isFrameLength: Check = (value) =>
  isCount(value) &&
  Number(value) >= FRAME_HEADER_BYTES &&
  Number(value) <= FRAME_HEADER_BYTES + 4 * MAX_PARAMETERS;

const isCheckpointRef = shaped<CheckpointRef>({
  modelVersion: isCount,
  digest: isDigest,
  bytes: isFrameLength,
  url: isText,
  // Verified before the bytes are used, whatever it is.
  signed: anything,
});

const isLayout = shaped<Layout>({
  tensors: listOf(
    shaped<TensorLayout>({
      name: isText,
      shape: listOf(isCountFromOne),
      // Computed anew from the shapes.
      offset: anything,
      size: anything,
    }),
  ),
  parameterCount: anything,
  digest: isDigest,
});

const isTaskBrief = shaped<TaskBrief>({
  taskId: isTaskId,
  layout: isLayout,
  checkpoint: isCheckpointRef,
  paused: isFlag,
});

/** Numbers of the kinds of optimizer that exist; a trainer refuses a kind that it does not know. */
const isOptimizer = shaped<{ kind: 0; momentum: 0; beta1: 0; beta2: 0; epsilon: 0 }>({
  kind: isText,
  momentum: optional(isNumber),
  beta1: optional(isNumber),
  beta2: optional(isNumber),
  epsilon: optional(isNumber),
});

/** Of noise that cannot be understood nothing may be left out: such a plan is none. */
const isLocalNoise = shaped<LocalNoise>({
  noiseMultiplier: isPositive,
  delta: (value) => isPositive(value) && Number(value) < 1,
  maxEpsilon: isPositive,
});

const isParticipation = shaped<ParticipationLimits>({
  minSeparation: isCountFromOne,
  maxParticipations: isCountFromOne,
});

/** Whether this client can encode so is asked when there is work: an encoding that it does not know is declined. */
const isEncoding = shaped<{ kind: 0; fraction: 0; values: 0; feedback: 0 }>({
  kind: isText,
  fraction: optional(isPositive),
  values: optional(isText),
  feedback: optional(isFlag),
});

const isPlan = shaped<TrainingPlan>({
  epochs: isCountFromOne,
  batchSize: isCountFromOne,
  learningRate: isPositive,
  optimizer: isOptimizer,
  proximalMu: isNotNegative,
  clippingNorm: optional(isPositive),
  localNoise: optional(isLocalNoise),
  participation: optional(isParticipation),
  maxExamples: optional(isCountFromOne),
  evaluate: isFlag,
  encoding: isEncoding,
  compression: isText,
  seed: optional(isNumber),
});

export const isAssignment = shaped<Assignment>({
  taskId: isTaskId,
  roundId: isRoundId,
  roundNumber: isCountFromOne,
  plan: isPlan,
  checkpoint: isCheckpointRef,
  update: shaped<Assignment["update"]>({ url: isText, token: isToken, maxBytes: isCount }),
  deadlineAt: isInstant,
  timeLeftMs: isNotNegative,
  reported: isFlag,
});

const isCheckInReply = shaped<CheckInReply>({
  clientId: isClientId,
  task: isTaskBrief,
  assignment: optional(isAssignment),
});

interface AnyRoundClosed {
  readonly taskId: unknown;
  readonly roundId: unknown;
  readonly outcome: unknown;
  readonly modelVersion: unknown;
  readonly reason: unknown;
}
const isAnyRoundClosed = shaped<AnyRoundClosed>({
  taskId: isTaskId,
  roundId: isRoundId,
  outcome: isText,
  modelVersion: optional(isCount),
  reason: optional(isText),
});

export function isRoundClosed(value: unknown): value is RoundClosed {
  if (!isAnyRoundClosed(value)) return false;
  const { outcome, modelVersion } = value;
  if (outcome === "committed") return modelVersion !== undefined;
  return outcome === "abandoned" || outcome === "reportsClosed";
}

export const isModelPublished = shaped<ModelPublished>({
  taskId: isTaskId,
  checkpoint: isCheckpointRef,
});

export const isTaskPaused = shaped<TaskPaused>({ taskId: isTaskId, paused: isFlag });
export const isTaskEnded = shaped<TaskEnded>({ taskId: isTaskId, reason: isText });

export const isReceipt = shaped<Receipt>({
  roundId: isRoundId,
  status: (value) => value === "accepted" || value === "committed",
  duplicate: isFlag,
  modelVersion: optional(isCount),
});

/** Answers to what a client says, by its name. */
export const REPLIES = {
  checkin: isCheckInReply,
  watch: isTaskBrief,
  decline: anything,
  leave: anything,
} as const satisfies Record<string, Check>;

/** An acknowledgement of either kind; the error inside may be anything. */
export const isAck = (
  value: unknown,
): value is { ok: true; value: unknown } | { ok: false; error: unknown } =>
  isObject(value) && typeof value.ok === "boolean";
