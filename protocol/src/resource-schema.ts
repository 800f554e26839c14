/**
 * Run-time schemas of what the coordinator answers. Open to further fields, as readers must be; the
 * coordinator writes exactly what is named here, so that nothing unforeseen leaves it.
 */

import type { Static, TSchema } from "typebox";
import Type from "typebox";

import { ENROLMENT_TOKEN_ID_PATTERN, ENROLMENT_TOKEN_PATTERN } from "./enrolment.ts";
import type { ErrorCode } from "./errors.ts";
import { ERROR_CODES } from "./errors.ts";
import {
  CountSchema,
  DigestSchema,
  ErrorCodeSchema,
  InstantSchema,
  NonNegativeSchema,
  PositiveIntegerSchema,
  PositiveSchema,
  PublicKeySchema,
  RateSchema,
  RoundIdSchema,
  TaskIdSchema,
} from "./id-schema.ts";
import { MAX_MANIFEST_CHARACTERS } from "./manifest.ts";
import { SIGNATURE_PATTERN } from "./signature.ts";
import { AdaptiveClippingSchema, TaskSpecSchema } from "./task-schema.ts";

const optional = Type.Optional;

export const TaskStateSchema = Type.Enum(["running", "paused", "ended"]);
export const TaskEndReasonSchema = Type.Enum([
  "maxRoundsReached",
  "targetReached",
  "privacyBudgetExhausted",
  "noiseStateLost",
  "cancelled",
]);
export const RoundPhaseSchema = Type.Enum([
  "selecting",
  "reporting",
  "aggregating",
  "committed",
  "abandoned",
]);
export const AbandonReasonSchema = Type.Enum([
  "tooFewClients",
  "tooFewReports",
  "aggregationFailed",
  "aggregationTimedOut",
  "cancelled",
  "paused",
]);

// ---------------------------------------------------------------------------- errors

const payload = {
  code: ErrorCodeSchema,
  message: Type.String(),
  retryable: Type.Boolean(),
  retryAfterMs: optional(NonNegativeSchema),
  details: optional(Type.Record(Type.String(), Type.Unknown())),
};

export const ErrorPayloadSchema = Type.Object(payload);

export const ProblemSchema = Type.Object(
  { ...payload, type: Type.String(), title: Type.String(), status: Type.Integer() },
  { title: "Problem" },
);

// ------------------------------------------------------------------------ evaluation

const scores = { precision: RateSchema, recall: RateSchema, f1: RateSchema };

const evaluation = {
  source: Type.Enum(["central", "federated"]),
  numExamples: PositiveIntegerSchema,
  loss: Type.Number(),
  accuracy: optional(RateSchema),
  macro: optional(Type.Object(scores)),
  perClass: optional(Type.Array(Type.Object({ ...scores, support: CountSchema }))),
};

export const EvaluationSchema = Type.Object(evaluation, { title: "Evaluation" });

/** An evaluation with the version that it is of. */
const VersionEvaluationSchema = Type.Object(
  { ...evaluation, modelVersion: CountSchema },
  { title: "VersionEvaluation" },
);

// ----------------------------------------------------------------------------- model

export const LayoutSchema = Type.Object(
  {
    tensors: Type.Array(
      Type.Object({
        name: Type.String(),
        shape: Type.Array(PositiveIntegerSchema),
        offset: CountSchema,
        size: PositiveIntegerSchema,
      }),
    ),
    parameterCount: PositiveIntegerSchema,
    digest: DigestSchema,
  },
  { title: "Layout" },
);

const SignatureSchema = Type.String({ pattern: SIGNATURE_PATTERN });

export const SignedManifestSchema = Type.Object(
  {
    manifest: Type.String({ maxLength: MAX_MANIFEST_CHARACTERS }),
    publicKey: PublicKeySchema,
    signature: SignatureSchema,
  },
  { title: "SignedManifest" },
);

const checkpointRef = {
  modelVersion: CountSchema,
  digest: DigestSchema,
  bytes: PositiveIntegerSchema,
  url: Type.String(),
  signed: SignedManifestSchema,
};

export const CheckpointRefSchema = Type.Object(checkpointRef, { title: "CheckpointRef" });

const servingCopy = Type.Object({
  digest: DigestSchema,
  bytes: checkpointRef.bytes,
  url: checkpointRef.url,
});

export const ModelResourceSchema = Type.Object(
  {
    ...checkpointRef,
    taskId: TaskIdSchema,
    roundNumber: optional(PositiveIntegerSchema),
    createdAt: InstantSchema,
    layoutDigest: DigestSchema,
    evaluation: optional(EvaluationSchema),
    copies: optional(Type.Object({ bfloat16: optional(servingCopy), int8: optional(servingCopy) })),
  },
  { title: "Model" },
);

export const KeyRecordSchema = Type.Object(
  {
    publicKey: PublicKeySchema,
    createdAt: InstantSchema,
    previous: optional(Type.Object({ publicKey: PublicKeySchema, signature: SignatureSchema })),
  },
  { title: "Key" },
);

export const KeysResourceSchema = Type.Object(
  { keys: Type.Array(KeyRecordSchema) },
  { title: "Keys" },
);

// ----------------------------------------------------------------------------- round

export const ParticipantCountsSchema = Type.Object({
  selected: CountSchema,
  reported: CountSchema,
  pending: CountSchema,
  declined: CountSchema,
  left: CountSchema,
  disconnected: CountSchema,
  rejected: CountSchema,
  timedOut: CountSchema,
});

const PhaseTimingSchema = Type.Object({
  phase: RoundPhaseSchema,
  startedAt: InstantSchema,
  durationMs: NonNegativeSchema,
});

const RejectionsSchema = Type.Unsafe<Partial<Record<ErrorCode, number>>>(
  Type.Object(Object.fromEntries(ERROR_CODES.map((code) => [code, optional(CountSchema)]))),
);

export const RoundResourceSchema = Type.Object(
  {
    roundId: RoundIdSchema,
    taskId: TaskIdSchema,
    roundNumber: PositiveIntegerSchema,
    phase: RoundPhaseSchema,
    reason: optional(AbandonReasonSchema),
    baseModelVersion: CountSchema,
    modelVersion: optional(PositiveIntegerSchema),
    openedAt: InstantSchema,
    endedAt: optional(InstantSchema),
    deadlineAt: optional(InstantSchema),
    phases: optional(Type.Array(PhaseTimingSchema)),
    participants: optional(ParticipantCountsSchema),
    rejections: optional(RejectionsSchema),
    updateBytes: optional(CountSchema),
    clippingNorm: optional(PositiveSchema),
    trainLoss: optional(Type.Number()),
    evaluation: optional(VersionEvaluationSchema),
    epsilon: optional(NonNegativeSchema),
  },
  { title: "Round" },
);

const orNull = <Value extends TSchema>(value: Value) =>
  Type.Array(Type.Union([value, Type.Null()]));

export const TaskHistorySchema = Type.Object(
  {
    taskId: TaskIdSchema,
    roundNumber: Type.Array(PositiveIntegerSchema),
    baseModelVersion: Type.Array(CountSchema),
    modelVersion: orNull(PositiveIntegerSchema),
    reason: optional(orNull(AbandonReasonSchema)),
    openedAtMs: Type.Array(Type.Integer()),
    endedAtMs: Type.Array(Type.Integer()),
    selectingMs: optional(orNull(NonNegativeSchema)),
    reportingMs: optional(orNull(NonNegativeSchema)),
    aggregatingMs: optional(orNull(NonNegativeSchema)),
    selected: optional(orNull(CountSchema)),
    reported: optional(orNull(CountSchema)),
    updateBytes: optional(orNull(CountSchema)),
    clippingNorm: optional(orNull(PositiveSchema)),
    trainLoss: optional(orNull(Type.Number())),
    evaluatedVersion: optional(orNull(CountSchema)),
    loss: optional(orNull(Type.Number())),
    accuracy: optional(orNull(RateSchema)),
    macroPrecision: optional(orNull(RateSchema)),
    macroRecall: optional(orNull(RateSchema)),
    macroF1: optional(orNull(RateSchema)),
    epsilon: optional(orNull(NonNegativeSchema)),
    next: optional(PositiveIntegerSchema),
  },
  { title: "TaskHistory" },
);

export const ReceiptSchema = Type.Object(
  {
    roundId: RoundIdSchema,
    status: Type.Enum(["accepted", "committed"]),
    duplicate: Type.Boolean(),
    modelVersion: optional(PositiveIntegerSchema),
  },
  { title: "Receipt" },
);

// ------------------------------------------------------------------------------ task

export const TaskResourceSchema = Type.Object(
  {
    taskId: TaskIdSchema,
    state: TaskStateSchema,
    endReason: optional(TaskEndReasonSchema),
    createdAt: InstantSchema,
    spec: TaskSpecSchema,
    layout: LayoutSchema,
    checkpoint: CheckpointRefSchema,
    roundsCommitted: CountSchema,
    roundsAbandoned: CountSchema,
    clientsWaiting: optional(CountSchema),
    currentRound: optional(RoundResourceSchema),
    evaluation: optional(VersionEvaluationSchema),
    nextRoundAt: optional(InstantSchema),
  },
  { title: "Task" },
);

const SamplingClaimSchema = Type.Union([
  Type.Object({ kind: Type.Literal("poisson"), samplingRate: RateSchema }),
  Type.Object({
    kind: Type.Literal("truncatedPoisson"),
    samplingRate: RateSchema,
    population: CountSchema,
    cap: CountSchema,
  }),
  Type.Object({ kind: Type.Literal("fixedSize"), cohortSize: CountSchema }),
  Type.Object({ kind: Type.Literal("none") }),
]);

export const PrivacyResourceSchema = Type.Union(
  [
    Type.Object({ taskId: TaskIdSchema, mechanism: Type.Literal("none") }),
    Type.Object({
      taskId: TaskIdSchema,
      mechanism: Type.Literal("central"),
      unit: Type.Literal("client"),
      adjacency: Type.Enum(["add-or-remove-one", "zero-out"]),
      against: Type.Literal("released-models"),
      noise: Type.Enum(["fast", "exact"]),
      noiseMultiplier: NonNegativeSchema,
      clippingNorm: NonNegativeSchema,
      adaptiveClipping: optional(
        Type.Object({
          ...AdaptiveClippingSchema.properties,
          deltaNoiseMultiplier: PositiveSchema,
        }),
      ),
      samplingRate: RateSchema,
      sampling: Type.Array(Type.Object({ claim: SamplingClaimSchema, rounds: CountSchema })),
      accountant: Type.Enum(["rdp", "pld"]),
      delta: RateSchema,
      maxEpsilon: NonNegativeSchema,
      epsilon: NonNegativeSchema,
      epsilonWithoutAmplification: NonNegativeSchema,
      warnings: Type.Array(Type.String()),
      rounds: CountSchema,
      roundsLeft: Type.Optional(CountSchema),
      statement: Type.String(),
    }),
    Type.Object({
      taskId: TaskIdSchema,
      mechanism: Type.Literal("local"),
      unit: Type.Literal("client"),
      adjacency: Type.Literal("replace-one"),
      accountant: Type.Literal("exact-gaussian"),
      noiseMultiplier: NonNegativeSchema,
      clippingNorm: NonNegativeSchema,
      delta: RateSchema,
      maxEpsilon: NonNegativeSchema,
      epsilonPerUpdate: NonNegativeSchema,
      updatesPerClient: CountSchema,
      statement: Type.String(),
    }),
    Type.Object({
      taskId: TaskIdSchema,
      mechanism: Type.Literal("matrix"),
      unit: Type.Literal("client"),
      adjacency: Type.Literal("zero-out"),
      against: Type.Literal("released-models"),
      noiseMultiplier: NonNegativeSchema,
      clippingNorm: NonNegativeSchema,
      factorization: Type.Enum(["blt", "tree"]),
      sensitivity: NonNegativeSchema,
      minSeparation: PositiveIntegerSchema,
      maxParticipations: PositiveIntegerSchema,
      accountant: Type.Literal("exact-gaussian"),
      delta: RateSchema,
      maxEpsilon: NonNegativeSchema,
      epsilon: NonNegativeSchema,
      rounds: CountSchema,
      roundsLeft: CountSchema,
      statement: Type.String(),
    }),
  ],
  { title: "Privacy" },
);

/** One page of `items`; its title, in the API's description, is the items' and "Page". */
export function pageSchema<Item extends TSchema>(items: Item, title: string) {
  return Type.Object({ items: Type.Array(items), next: optional(CountSchema) }, { title });
}

export const RoundPageSchema = pageSchema(RoundResourceSchema, "RoundPage");
export const ModelPageSchema = pageSchema(ModelResourceSchema, "ModelPage");

// -------------------------------------------------------------------------- enrolment

const enrolmentToken = {
  tokenId: Type.String({ pattern: ENROLMENT_TOKEN_ID_PATTERN }),
  label: optional(Type.String()),
  state: Type.Enum(["valid", "usedUp", "expired", "revoked"]),
  uses: PositiveIntegerSchema,
  used: CountSchema,
  createdAt: InstantSchema,
  expiresAt: InstantSchema,
  revokedAt: optional(InstantSchema),
};

export const EnrolmentTokenSchema = Type.Object(enrolmentToken, { title: "EnrolmentToken" });

export const IssuedEnrolmentTokenSchema = Type.Object(
  { ...enrolmentToken, token: Type.String({ pattern: ENROLMENT_TOKEN_PATTERN }) },
  { title: "IssuedEnrolmentToken" },
);

export const EnrolmentTokenPageSchema = pageSchema(EnrolmentTokenSchema, "EnrolmentTokenPage");

// ------------------------------------------------------------------------- audit log

const auditHead = { number: CountSchema, hash: DigestSchema };

/** The newest entry's number and hash. */
export const AuditHeadSchema = Type.Object(auditHead, { title: "AuditHead" });

export const AuditEntrySchema = Type.Object(
  {
    number: PositiveIntegerSchema,
    previous: DigestSchema,
    record: Type.String({ description: "JSON, exactly as it is hashed" }),
    hash: DigestSchema,
  },
  { title: "AuditEntry" },
);

export const AuditPageSchema = Type.Object(
  { items: Type.Array(AuditEntrySchema), head: AuditHeadSchema, next: optional(CountSchema) },
  { title: "AuditPage" },
);

export const BackupResourceSchema = Type.Object(
  {
    name: Type.String(),
    takenAt: InstantSchema,
    durationMs: NonNegativeSchema,
    databaseBytes: CountSchema,
    blobs: CountSchema,
    blobBytes: CountSchema,
    damaged: Type.Array(DigestSchema),
  },
  { title: "BackupResource" },
);

// ---------------------------------------------------------------------------- events

const event = <Name extends string, Data extends TSchema>(type: Name, data: Data) =>
  Type.Object({
    id: Type.String({ pattern: "^[0-9]{1,16}$" }),
    type: Type.Literal(type),
    at: InstantSchema,
    taskId: TaskIdSchema,
    data,
  });

export const MonitoringEventSchema = Type.Union(
  [
    event("task:created", Type.Object({ state: TaskStateSchema })),
    event(
      "task:stateChanged",
      Type.Object({ state: TaskStateSchema, reason: optional(TaskEndReasonSchema) }),
    ),
    event("round:phaseChanged", RoundResourceSchema),
    event("round:progress", RoundResourceSchema),
    event("model:published", ModelResourceSchema),
  ],
  { title: "MonitoringEvent" },
);

/** Every `type` of a monitoring event. */
export const MONITORING_EVENT_TYPES = MonitoringEventSchema.anyOf.map(
  (member) => member.properties.type.const,
) as readonly Static<typeof MonitoringEventSchema>["type"][];
