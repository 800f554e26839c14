/**
 * Run-time schemas of a task: as it may be written (`TaskSpecInput`: unknown fields refused) and as it
 * is answered (`TaskSpec`: every default filled in). Rules across fields are the task registry's.
 */

import Type from "typebox";

import {
  CountSchema,
  DecaySchema,
  NonNegativeSchema,
  PositiveIntegerSchema,
  PositiveSchema,
  TaskIdSchema,
} from "./id-schema.ts";

const closed = { additionalProperties: false };
const partial = Type.Optional;

export const TensorSpecSchema = Type.Object(
  { name: Type.String({ minLength: 1, maxLength: 256 }), shape: Type.Array(PositiveIntegerSchema) },
  closed,
);

const model = Type.Object({ tensors: Type.Array(TensorSpecSchema, { minItems: 1 }) }, closed);

// ------------------------------------------------------------------------------ plan

const sgd = Type.Object({ kind: Type.Literal("sgd") }, closed);

const ClientOptimizerSchema = Type.Union([
  sgd,
  Type.Object({ kind: Type.Literal("momentum"), momentum: DecaySchema }, closed),
  Type.Object(
    {
      kind: Type.Literal("adam"),
      beta1: DecaySchema,
      beta2: DecaySchema,
      epsilon: PositiveSchema,
    },
    closed,
  ),
]);

const ClientOptimizerInputSchema = Type.Union([
  sgd,
  Type.Object({ kind: Type.Literal("momentum"), momentum: partial(DecaySchema) }, closed),
  Type.Object(
    {
      kind: Type.Literal("adam"),
      beta1: partial(DecaySchema),
      beta2: partial(DecaySchema),
      epsilon: partial(PositiveSchema),
    },
    closed,
  ),
]);

const ValueEncodingSchema = Type.Enum(["float32", "bfloat16", "int8", "int4"]);
const SparseKindSchema = Type.Enum(["topK", "randomK"]);
const FractionSchema = Type.Number({ exclusiveMinimum: 0, maximum: 1 });
const denseEncoding = Type.Object({ kind: ValueEncodingSchema }, closed);

const EncodingSchema = Type.Union([
  denseEncoding,
  Type.Object(
    {
      kind: SparseKindSchema,
      fraction: FractionSchema,
      values: ValueEncodingSchema,
      feedback: Type.Boolean(),
    },
    closed,
  ),
]);

const EncodingInputSchema = Type.Union([
  denseEncoding,
  Type.Object(
    {
      kind: SparseKindSchema,
      fraction: FractionSchema,
      values: partial(ValueEncodingSchema),
      feedback: partial(Type.Boolean()),
    },
    closed,
  ),
]);

const CompressionSchema = Type.Enum(["none", "brotli"]);

export const PlanSchema = Type.Object({
  epochs: PositiveIntegerSchema,
  batchSize: PositiveIntegerSchema,
  learningRate: PositiveSchema,
  optimizer: ClientOptimizerSchema,
  proximalMu: NonNegativeSchema,
  maxExamples: partial(PositiveIntegerSchema),
  encoding: EncodingSchema,
  compression: CompressionSchema,
  seed: partial(CountSchema),
});

const PlanInputSchema = Type.Object(
  {
    epochs: partial(PositiveIntegerSchema),
    batchSize: partial(PositiveIntegerSchema),
    learningRate: partial(PositiveSchema),
    optimizer: partial(ClientOptimizerInputSchema),
    proximalMu: partial(NonNegativeSchema),
    maxExamples: partial(PositiveIntegerSchema),
    encoding: partial(EncodingInputSchema),
    compression: partial(CompressionSchema),
    seed: partial(CountSchema),
  },
  closed,
);

// -------------------------------------------------------------------------- strategy

const all = Type.Object({ kind: Type.Literal("all") }, closed);
const poisson = Type.Object(
  {
    kind: Type.Literal("poisson"),
    samplingRate: Type.Number({ exclusiveMinimum: 0, maximum: 1 }),
    population: PositiveIntegerSchema,
    maxCohort: partial(PositiveIntegerSchema),
    seed: partial(CountSchema),
  },
  closed,
);

const SamplerSchema = Type.Union([
  all,
  Type.Object(
    {
      kind: Type.Literal("uniform"),
      cohortSize: PositiveIntegerSchema,
      overSelection: NonNegativeSchema,
      seed: partial(CountSchema),
    },
    closed,
  ),
  poisson,
]);

const SamplerInputSchema = Type.Union([
  all,
  Type.Object(
    {
      kind: Type.Literal("uniform"),
      cohortSize: PositiveIntegerSchema,
      overSelection: partial(NonNegativeSchema),
      seed: partial(CountSchema),
    },
    closed,
  ),
  poisson,
]);

const uniformWeighting = Type.Object({ kind: Type.Literal("uniform") }, closed);

const WeightingSchema = Type.Union([
  uniformWeighting,
  Type.Object({ kind: Type.Literal("byExamples"), cap: PositiveSchema }, closed),
]);

const mean = Type.Object({ kind: Type.Literal("mean") }, closed);
const median = Type.Object({ kind: Type.Literal("median") }, closed);
const trimmedMean = Type.Object(
  { kind: Type.Literal("trimmedMean"), trim: PositiveIntegerSchema },
  closed,
);

const AggregationSchema = Type.Union([
  mean,
  median,
  trimmedMean,
  Type.Object(
    { kind: Type.Literal("krum"), byzantine: CountSchema, select: PositiveIntegerSchema },
    closed,
  ),
  Type.Object(
    {
      kind: Type.Literal("geometricMedian"),
      iterations: PositiveIntegerSchema,
      smoothing: PositiveSchema,
    },
    closed,
  ),
  Type.Object(
    {
      kind: Type.Literal("centredClipping"),
      radius: PositiveSchema,
      iterations: PositiveIntegerSchema,
    },
    closed,
  ),
  Type.Object({ kind: Type.Literal("normBounding"), factor: PositiveSchema }, closed),
]);

const AggregationInputSchema = Type.Union([
  mean,
  median,
  trimmedMean,
  Type.Object(
    { kind: Type.Literal("krum"), byzantine: CountSchema, select: partial(PositiveIntegerSchema) },
    closed,
  ),
  Type.Object(
    {
      kind: Type.Literal("geometricMedian"),
      iterations: partial(PositiveIntegerSchema),
      smoothing: partial(PositiveSchema),
    },
    closed,
  ),
  Type.Object(
    {
      kind: Type.Literal("centredClipping"),
      radius: PositiveSchema,
      iterations: partial(PositiveIntegerSchema),
    },
    closed,
  ),
  Type.Object({ kind: Type.Literal("normBounding"), factor: partial(PositiveSchema) }, closed),
]);

const AdaptiveKindSchema = Type.Enum(["adam", "yogi"]);

const ServerOptimizerSchema = Type.Union([
  Type.Object({ kind: Type.Literal("sgd"), learningRate: PositiveSchema }, closed),
  Type.Object(
    { kind: Type.Literal("momentum"), learningRate: PositiveSchema, momentum: DecaySchema },
    closed,
  ),
  Type.Object(
    {
      kind: Type.Literal("adagrad"),
      learningRate: PositiveSchema,
      beta1: DecaySchema,
      tau: PositiveSchema,
    },
    closed,
  ),
  Type.Object(
    {
      kind: AdaptiveKindSchema,
      learningRate: PositiveSchema,
      beta1: DecaySchema,
      beta2: DecaySchema,
      tau: PositiveSchema,
    },
    closed,
  ),
]);

const ServerOptimizerInputSchema = Type.Union([
  Type.Object({ kind: Type.Literal("sgd"), learningRate: partial(PositiveSchema) }, closed),
  Type.Object(
    {
      kind: Type.Literal("momentum"),
      learningRate: partial(PositiveSchema),
      momentum: partial(DecaySchema),
    },
    closed,
  ),
  Type.Object(
    {
      kind: Type.Literal("adagrad"),
      learningRate: partial(PositiveSchema),
      beta1: partial(DecaySchema),
      tau: partial(PositiveSchema),
    },
    closed,
  ),
  Type.Object(
    {
      kind: AdaptiveKindSchema,
      learningRate: partial(PositiveSchema),
      beta1: partial(DecaySchema),
      beta2: partial(DecaySchema),
      tau: partial(PositiveSchema),
    },
    closed,
  ),
]);

// ------------------------------------------------------- privacy, schedule, stop, evaluation

const noPrivacy = Type.Object({ mechanism: Type.Literal("none") }, closed);

export const AdaptiveClippingSchema = Type.Object(
  {
    targetQuantile: Type.Number({ exclusiveMinimum: 0, exclusiveMaximum: 1 }),
    learningRate: PositiveSchema,
    bitNoiseStddev: PositiveSchema,
    minNorm: PositiveSchema,
    maxNorm: PositiveSchema,
  },
  closed,
);

const centralPrivacy = {
  mechanism: Type.Literal("central"),
  noiseMultiplier: PositiveSchema,
  delta: Type.Number({ exclusiveMinimum: 0, exclusiveMaximum: 1 }),
  maxEpsilon: PositiveSchema,
  noise: partial(Type.Union([Type.Literal("fast"), Type.Literal("exact")])),
};

const CentralPrivacySchema = Type.Object(
  { ...centralPrivacy, adaptiveClipping: partial(AdaptiveClippingSchema) },
  closed,
);

const CentralPrivacyInputSchema = Type.Object(
  { ...centralPrivacy, adaptiveClipping: partial(Type.Partial(AdaptiveClippingSchema, closed)) },
  closed,
);

const matrixNumbers = {
  mechanism: Type.Literal("matrix"),
  noiseMultiplier: PositiveSchema,
  delta: Type.Number({ exclusiveMinimum: 0, exclusiveMaximum: 1 }),
  maxEpsilon: PositiveSchema,
  rounds: PositiveIntegerSchema,
  minSeparation: PositiveIntegerSchema,
  maxParticipations: PositiveIntegerSchema,
};
const series = { decays: Type.Array(PositiveSchema), scales: Type.Array(PositiveSchema) };
const treeFactorization = Type.Object({ kind: Type.Literal("tree") }, closed);

const MatrixPrivacySchema = Type.Object(
  {
    ...matrixNumbers,
    factorization: Type.Union([
      Type.Object({ kind: Type.Literal("blt"), ...series }, closed),
      treeFactorization,
    ]),
  },
  closed,
);

const MatrixPrivacyInputSchema = Type.Object(
  {
    ...matrixNumbers,
    factorization: partial(
      Type.Union([
        Type.Object(
          {
            kind: Type.Literal("blt"),
            decays: partial(series.decays),
            scales: partial(series.scales),
          },
          closed,
        ),
        treeFactorization,
      ]),
    ),
  },
  closed,
);

const LocalPrivacySchema = Type.Object(
  {
    mechanism: Type.Literal("local"),
    noiseMultiplier: PositiveSchema,
    delta: Type.Number({ exclusiveMinimum: 0, exclusiveMaximum: 1 }),
    maxEpsilon: PositiveSchema,
  },
  closed,
);

const ScheduleSchema = Type.Object({
  minClients: PositiveIntegerSchema,
  minReports: PositiveIntegerSchema,
  selectionDeadlineMs: PositiveSchema,
  reportWindowMs: PositiveSchema,
  aggregationDeadlineMs: PositiveSchema,
  pauseBetweenRoundsMs: NonNegativeSchema,
});

const ScheduleInputSchema = Type.Object(
  {
    minClients: partial(PositiveIntegerSchema),
    minReports: partial(PositiveIntegerSchema),
    selectionDeadlineMs: partial(PositiveSchema),
    reportWindowMs: partial(PositiveSchema),
    aggregationDeadlineMs: partial(PositiveSchema),
    pauseBetweenRoundsMs: partial(NonNegativeSchema),
  },
  closed,
);

const StopSchema = Type.Object(
  {
    maxRounds: partial(PositiveIntegerSchema),
    target: partial(
      Type.Object(
        { metric: Type.Enum(["accuracy", "macroF1", "loss"]), value: Type.Number() },
        closed,
      ),
    ),
  },
  closed,
);

const EvaluationSpecSchema = Type.Union([
  Type.Object({ kind: Type.Literal("none") }, closed),
  Type.Object({ kind: Type.Literal("central"), evaluator: Type.String({ minLength: 1 }) }, closed),
  Type.Object({ kind: Type.Literal("federated"), numClasses: CountSchema }, closed),
]);

const ServingSchema = Type.Object(
  { encodings: Type.Array(Type.Enum(["bfloat16", "int8"])) },
  closed,
);

// ------------------------------------------------------------------------------ task

const specBase = {
  taskId: TaskIdSchema,
  description: Type.String(),
  model,
  plan: PlanSchema,
  sampler: SamplerSchema,
  serverOptimizer: ServerOptimizerSchema,
  schedule: ScheduleSchema,
  stop: StopSchema,
  evaluation: EvaluationSpecSchema,
  serving: partial(ServingSchema),
};

export const PlainTaskSpecSchema = Type.Object({
  ...specBase,
  privacy: noPrivacy,
  aggregation: AggregationSchema,
  weighting: WeightingSchema,
  clippingNorm: partial(PositiveSchema),
});

export const PrivateTaskSpecSchema = Type.Object({
  ...specBase,
  privacy: Type.Union([CentralPrivacySchema, MatrixPrivacySchema, LocalPrivacySchema]),
  aggregation: mean,
  weighting: uniformWeighting,
  clippingNorm: PositiveSchema,
});

export const TaskSpecSchema = Type.Union([PlainTaskSpecSchema, PrivateTaskSpecSchema], {
  title: "TaskSpec",
});

export const TaskSpecInputSchema = Type.Object(
  {
    taskId: Type.String(),
    description: partial(Type.String({ maxLength: 4096 })),
    model,
    plan: partial(PlanInputSchema),
    sampler: partial(SamplerInputSchema),
    aggregation: partial(AggregationInputSchema),
    weighting: partial(WeightingSchema),
    serverOptimizer: partial(ServerOptimizerInputSchema),
    clippingNorm: partial(PositiveSchema),
    privacy: partial(
      Type.Union([
        noPrivacy,
        CentralPrivacyInputSchema,
        MatrixPrivacyInputSchema,
        LocalPrivacySchema,
      ]),
    ),
    schedule: partial(ScheduleInputSchema),
    stop: partial(StopSchema),
    evaluation: partial(EvaluationSpecSchema),
    serving: partial(ServingSchema),
  },
  { ...closed, title: "TaskSpecInput" },
);
