/** What each field of a task may hold, and its default where that depends on no other field. */

import type { TaskId } from "@tributary/protocol";
import { MAX_CLASSES, TASK_ID_PATTERN } from "@tributary/protocol";
import * as Type from "typebox";

import { MAX_SPAN_MS } from "../config/schema.ts";
import { MOST_STEPS } from "./matrix-task.ts";

const MAX_COUNT = 2 ** 31 - 1;
const MAX_SEED = 2 ** 32 - 1;
/** Each is a pass over all updates of a round. */
const MOST_ITERATIONS = 100;

const strict = <P extends Type.TProperties>(properties: P, options: Type.TObjectOptions = {}) =>
  Type.Object(properties, { additionalProperties: false, ...options });
const kind = <K extends string>(name: K) => Type.Literal(name);
const count = (options: Type.TNumberOptions = {}) =>
  Type.Integer({ minimum: 1, maximum: MAX_COUNT, ...options });
const spanMs = (options: Type.TNumberOptions = {}) =>
  Type.Integer({ minimum: 1, maximum: MAX_SPAN_MS, ...options });
const positive = (options: Type.TNumberOptions = {}) =>
  Type.Number({ exclusiveMinimum: 0, ...options });
/** A decay of a running mean: 1 would never forget. */
const decay = (usual: number) => Type.Number({ minimum: 0, exclusiveMaximum: 1, default: usual });
const seed = () => Type.Optional(Type.Integer({ minimum: 0, maximum: MAX_SEED }));

const TensorSchema = strict({
  name: Type.String({ minLength: 1, maxLength: 200 }),
  shape: Type.Array(count()),
});

/** @param keeps whether clients keep what they did not send, where it is not said */
const sparse = <K extends string>(name: K, keeps: boolean) =>
  strict({
    kind: kind(name),
    // Below it strata of "randomK" would be so long that no seed reaches all places alike.
    fraction: Type.Number({ minimum: 1e-5, maximum: 1 }),
    // As small as its index, and its error is remembered with the rest.
    values: Type.Enum(["float32", "bfloat16", "int8", "int4"], { default: "int8" }),
    feedback: Type.Boolean({ default: keeps }),
  });

const EncodingSchema = Type.Union(
  [
    strict({ kind: kind("float32") }),
    strict({ kind: kind("bfloat16") }),
    strict({ kind: kind("int8") }),
    strict({ kind: kind("int4") }),
    // What is not among the largest again and again would never arrive, and the mean would be wrong.
    sparse("topK", true),
    // Without, the mean is right at once. With it each number waits 1 / fraction of its client's rounds, however
    // much it matters, and then comes in one step that was learned from models long gone.
    sparse("randomK", false),
  ],
  // What was learned, as it is: fewer bytes are asked for.
  { default: { kind: "float32" } },
);

const PlanSchema = strict(
  {
    // One pass: the least drift between clients; more passes save rounds where data are alike.
    epochs: count({ default: 1 }),
    // B = 10 and learning rate 0.1 (`spec.ts`) are a pair from McMahan et al. 2017.
    batchSize: count({ default: 10 }),
    learningRate: Type.Optional(positive()),
    // Plain SGD has no state that a client would lose between rounds.
    optimizer: Type.Union(
      [
        strict({ kind: kind("sgd") }),
        // 0.9: the customary value since Sutskever et al. 2013.
        strict({ kind: kind("momentum"), momentum: decay(0.9) }),
        // Kingma and Ba 2015, with an epsilon that is not lost in float32 arithmetic.
        strict({
          kind: kind("adam"),
          beta1: decay(0.9),
          beta2: decay(0.999),
          epsilon: positive({ default: 1e-7 }),
        }),
      ],
      { default: { kind: "sgd" } },
    ),
    // FedAvg; FedProx is asked for.
    proximalMu: Type.Number({ minimum: 0, default: 0 }),
    maxExamples: Type.Optional(count()),
    encoding: EncodingSchema,
    // Most encodings leave little to compress, and compressing takes the clients' time: it is asked for.
    compression: Type.Enum(["none", "brotli"], { default: "none" }),
    seed: seed(),
  },
  { default: {} },
);

const SamplerSchema = Type.Union(
  [
    strict({ kind: kind("all") }),
    strict({
      kind: kind("uniform"),
      cohortSize: count(),
      // None: how many drop out is not known beforehand. Above 4 most of the work would be thrown away.
      overSelection: Type.Number({ minimum: 0, maximum: 4, default: 0 }),
      seed: seed(),
    }),
    strict({
      kind: kind("poisson"),
      samplingRate: positive({ maximum: 1 }),
      population: count(),
      // None: a cap is paid for in privacy, and a cohort costs little memory.
      maxCohort: Type.Optional(count()),
      seed: seed(),
    }),
  ],
  // Everybody who is there: right for a few organisations; large populations say how many.
  { default: { kind: "all" } },
);

/** Defaults of the adaptive methods from Reddi et al. 2020: tau 1e-3, beta2 0.99, rate 10^-1. */
const rate = () => positive({ default: 0.1 });
const tau = () => positive({ default: 1e-3 });
const adaptive = <K extends string>(name: K) =>
  strict({
    kind: kind(name),
    learningRate: rate(),
    beta1: decay(0.9),
    beta2: decay(0.99),
    tau: tau(),
  });
const ServerOptimizerSchema = Type.Union(
  [
    // 1: the mean delta as it is, which is FedAvg.
    strict({ kind: kind("sgd"), learningRate: positive({ default: 1 }) }),
    // FedAvgM of Hsu et al. 2019.
    strict({
      kind: kind("momentum"),
      learningRate: positive({ default: 1 }),
      momentum: decay(0.9),
    }),
    // Without momentum, as FedAdagrad is defined.
    strict({ kind: kind("adagrad"), learningRate: rate(), beta1: decay(0), tau: tau() }),
    adaptive("adam"),
    adaptive("yogi"),
  ],
  { default: { kind: "sgd" } },
);

const AggregationSchema = Type.Union(
  [
    strict({ kind: kind("mean") }),
    strict({ kind: kind("median") }),
    // How many clients lie is a guess that only the author can make.
    strict({ kind: kind("trimmedMean"), trim: count() }),
    // All but the liars and two, which is the most that Krum's argument holds for, depends on minReports.
    strict({
      kind: kind("krum"),
      byzantine: count({ minimum: 0 }),
      select: Type.Optional(count()),
    }),
    strict({
      kind: kind("geometricMedian"),
      // Pillutla et al. 2022 find three to five enough; the rest is for attackers that are far away.
      iterations: count({ maximum: MOST_ITERATIONS, default: 8 }),
      // nu of Pillutla et al. 2022.
      smoothing: positive({ default: 1e-6 }),
    }),
    strict({
      kind: kind("centredClipping"),
      radius: positive(),
      // Karimireddy et al. 2021 take one from where the last round ended; from nothing it takes some.
      iterations: count({ maximum: MOST_ITERATIONS, default: 5 }),
    }),
    // 1: nobody counts for more than the client in the middle.
    strict({ kind: kind("normBounding"), factor: positive({ default: 1 }) }),
  ],
  // FedAvg: who knows all clients need not guard against them.
  { default: { kind: "mean" } },
);

const WeightingSchema = Type.Union([
  strict({ kind: kind("uniform") }),
  strict({ kind: kind("byExamples"), cap: count() }),
]);

/** Norms of float32 deltas, with so much room that no sum and no grid step of them leaves float64. */
export const LEAST_NORM = 1e-12;
export const LARGEST_NORM = 1e12;
const norm = () => Type.Number({ minimum: LEAST_NORM, maximum: LARGEST_NORM });
const AdaptiveClippingSchema = strict({
  // The median, which works as well as any quantile (Andrew et al. 2021), and the only one that is not moved
  // by drop-outs: who does not report counts as one half.
  targetQuantile: positive({ exclusiveMaximum: 1, default: 0.5 }),
  // Andrew et al. 2021: a factor of a hundred takes some fifty rounds, and the noise moves the norm by 1 % a
  // round. Above 1 a round could change it by more than e, and it would never settle.
  learningRate: positive({ maximum: 1, default: 0.2 }),
  // These follow from other fields (`spec-clipping.ts`).
  bitNoiseStddev: Type.Optional(positive()),
  minNorm: Type.Optional(norm()),
  maxNorm: Type.Optional(norm()),
});

const PrivacySchema = Type.Union(
  [
    strict({ mechanism: kind("none") }),
    // No default numbers: a promise about people is made by the task's author or not at all.
    strict({
      mechanism: kind("central"),
      noiseMultiplier: positive(),
      delta: positive({ exclusiveMaximum: 1 }),
      maxEpsilon: positive(),
      // Absent is fast: what its approximation may cost is far below what epsilon is rounded to.
      noise: Type.Optional(Type.Union([Type.Literal("fast"), Type.Literal("exact")])),
      adaptiveClipping: Type.Optional(AdaptiveClippingSchema),
    }),
    // By the clients themselves: holds against the coordinator, too, and takes far more noise.
    strict({
      mechanism: kind("local"),
      noiseMultiplier: positive(),
      delta: positive({ exclusiveMaximum: 1 }),
      maxEpsilon: positive(),
    }),
    strict({
      mechanism: kind("matrix"),
      noiseMultiplier: positive(),
      delta: positive({ exclusiveMaximum: 1 }),
      maxEpsilon: positive(),
      factorization: Type.Union(
        [
          strict({
            kind: kind("blt"),
            decays: Type.Optional(Type.Array(Type.Number())),
            scales: Type.Optional(Type.Array(Type.Number())),
          }),
          strict({ kind: kind("tree") }),
        ],
        // Less noise than trees, and fewer vectors to remember; its series are found for the run (`spec.ts`).
        { default: { kind: "blt" } },
      ),
      rounds: count({ maximum: MOST_STEPS }),
      minSeparation: count(),
      maxParticipations: count(),
    }),
  ],
  { default: { mechanism: "none" } },
);

const ScheduleSchema = strict(
  {
    minClients: Type.Optional(count()),
    minReports: Type.Optional(count()),
    // Long enough for clients of the last round to check in again, short enough to watch.
    selectionDeadlineMs: spanMs({ default: 60_000 }),
    // Minutes of training on a slow device, and its upload.
    reportWindowMs: spanMs({ default: 300_000 }),
    // Aggregation takes milliseconds; the rest is for a large held-out set.
    aggregationDeadlineMs: spanMs({ default: 120_000 }),
    // None: the deadlines set the pace.
    pauseBetweenRoundsMs: spanMs({ minimum: 0, default: 0 }),
  },
  { default: {} },
);

const StopSchema = strict(
  {
    maxRounds: Type.Optional(count()),
    target: Type.Optional(
      strict({
        metric: Type.Union([
          Type.Literal("accuracy"),
          Type.Literal("macroF1"),
          Type.Literal("loss"),
        ]),
        value: Type.Number(),
      }),
    ),
  },
  // Goes on until it is cancelled, or its privacy budget is spent.
  { default: {} },
);

const EvaluationSchema = Type.Union(
  [
    strict({ kind: kind("none") }),
    strict({ kind: kind("central"), evaluator: Type.String({ minLength: 1 }) }),
    strict({
      kind: kind("federated"),
      numClasses: Type.Integer({ minimum: 0, maximum: MAX_CLASSES }),
    }),
  ],
  // None: it needs data that only the author has.
  { default: { kind: "none" } },
);

// Costs a little time at each commit and their bytes on the disk, so who wants them says so.
const ServingSchema = strict({
  encodings: Type.Array(Type.Enum(["bfloat16", "int8"]), { minItems: 1 }),
});

export const TaskSchema = strict({
  taskId: Type.Unsafe<TaskId>(
    Type.String({
      pattern: TASK_ID_PATTERN,
      rule: "must be 1 to 63 lower-case letters, digits and hyphens, not beginning with a hyphen",
    }),
  ),
  description: Type.String({ maxLength: 2000, default: "" }),
  model: strict({ tensors: Type.Array(TensorSchema, { minItems: 1 }) }),
  plan: PlanSchema,
  sampler: SamplerSchema,
  aggregation: AggregationSchema,
  weighting: Type.Optional(WeightingSchema),
  serverOptimizer: ServerOptimizerSchema,
  clippingNorm: Type.Optional(positive()),
  privacy: PrivacySchema,
  schedule: ScheduleSchema,
  stop: StopSchema,
  evaluation: EvaluationSchema,
  serving: Type.Optional(ServingSchema),
});

/** A task whose fields are good one by one; defaults that depend on others are still missing. */
export type WrittenTask = Type.Static<typeof TaskSchema>;
