/** The fields of a task as its form shows them: what they are called, what they may hold, what holds without them. */

import type { Option, PlainField, Section } from "./field-kinds.ts";
import { count, decay, positive, required, seed, span } from "./field-kinds.ts";

const noiseFields = (hint: string): readonly PlainField[] => [
  positive("privacy.noiseMultiplier", "Noise multiplier z", { required, hint }),
  positive("privacy.delta", "Delta", {
    ...{ required, below: 1, hint: "Well below one over the number of clients." },
  }),
  positive("privacy.maxEpsilon", "Largest epsilon", {
    ...{ required, hint: "The task ends before it would be exceeded." },
  }),
];
const KEPT = { value: true, label: "Kept for the next update" };
const FORGOTTEN = { value: false, label: "Forgotten" };
const sparse = (value: "topK" | "randomK", label: string): Option => ({
  value,
  label,
  fields: [
    positive("plan.encoding.fraction", "Share of the numbers", {
      ...{ required, min: 1e-5, max: 1, hint: "0.01 sends one in a hundred. Not under privacy." },
    }),
    {
      ...{ kind: "pick", path: "plan.encoding.values", label: "Each number as" },
      options: [
        { value: "int8", label: "int8" },
        { value: "int4", label: "int4" },
        { value: "bfloat16", label: "bfloat16" },
        { value: "float32", label: "float32" },
      ],
    },
    {
      ...{ kind: "pick", path: "plan.encoding.feedback", label: "What is not sent" },
      ...(value === "topK"
        ? {
            hint: "Error feedback: without it, most of what was learned never arrives.",
            options: [KEPT, FORGOTTEN],
          }
        : {
            hint: "What is sent stands for the rest, and the mean is right. Kept, the rest waits for many rounds.",
            options: [FORGOTTEN, KEPT],
          }),
    },
  ],
});
const samplerSeed = seed("sampler.seed", "Repeats who is chosen, for experiments without privacy.");
const adaptive = (value: string, label: string): Option => ({
  value,
  label,
  fields: [
    positive("serverOptimizer.learningRate", "Server learning rate", { usual: "0.1" }),
    decay("serverOptimizer.beta1", "Beta 1", "0.9"),
    ...(value === "adagrad" ? [] : [decay("serverOptimizer.beta2", "Beta 2", "0.99")]),
    positive("serverOptimizer.tau", "Tau", { usual: "0.001" }),
  ],
});

export const taskSections: readonly Section[] = [
  {
    title: "Task",
    fields: [
      {
        ...{ kind: "text", path: "taskId", label: "Name", required },
        hint: "Lower-case letters, digits and hyphens. Clients join by it.",
      },
      { kind: "text", path: "description", label: "Description" },
    ],
  },
  {
    title: "Training at the clients",
    fields: [
      count("plan.epochs", "Epochs", { usual: "1" }),
      count("plan.batchSize", "Batch size", { usual: "10" }),
      positive("plan.learningRate", "Learning rate", {
        ...{ usual: "0.1", hint: "With momentum 0.01 is usual, with Adam 0.001." },
      }),
      {
        kind: "choice",
        path: "plan.optimizer",
        label: "Optimizer",
        by: "kind",
        usual: "sgd",
        options: [
          { value: undefined, label: "SGD" },
          {
            value: "momentum",
            label: "SGD with momentum",
            fields: [decay("plan.optimizer.momentum", "Momentum", "0.9")],
          },
          {
            value: "adam",
            label: "Adam",
            fields: [
              decay("plan.optimizer.beta1", "Beta 1", "0.9"),
              decay("plan.optimizer.beta2", "Beta 2", "0.999"),
              positive("plan.optimizer.epsilon", "Epsilon of Adam", { usual: "1e-7" }),
            ],
          },
        ],
      },
      {
        ...{ kind: "number", path: "plan.proximalMu", label: "Proximal mu", min: 0, usual: "0" },
        hint: "Above 0 is FedProx: holds clients near the model they received.",
      },
      count("plan.maxExamples", "Most examples of a client", { usual: "all" }),
      {
        kind: "choice",
        path: "plan.encoding",
        label: "Encoding of updates",
        by: "kind",
        usual: "float32",
        options: [
          { value: undefined, label: "float32: as they are" },
          { value: "bfloat16", label: "bfloat16: half the bytes" },
          { value: "int8", label: "int8: a quarter" },
          { value: "int4", label: "int4: an eighth" },
          sparse("topK", "Top-k: the largest numbers"),
          sparse("randomK", "Random-k: numbers chosen by chance"),
        ],
      },
      {
        ...{ kind: "pick", path: "plan.compression", label: "Packed on top" },
        hint: "By clients that can, where it pays: it takes their time.",
        options: [
          { value: "none", label: "No" },
          { value: "brotli", label: "With brotli" },
        ],
      },
      seed("plan.seed", "Makes shuffling and rounding at the clients repeatable."),
    ],
  },
  {
    title: "Who takes part",
    fields: [
      {
        kind: "choice",
        path: "sampler",
        label: "Sampler",
        by: "kind",
        options: [
          { value: "all", label: "Everybody who waits" },
          {
            value: "uniform",
            label: "So many of those who wait",
            fields: [
              count("sampler.cohortSize", "Clients in a round", { required }),
              {
                ...{ kind: "number", path: "sampler.overSelection", label: "Over-selection" },
                ...{ min: 0, usual: "0", hint: "0.3 selects 30 % more, to make up for drop-outs." },
              },
              samplerSeed,
            ],
          },
          {
            value: "poisson",
            label: "A coin for each client",
            fields: [
              positive("sampler.samplingRate", "Sampling rate q", { required, max: 1 }),
              count("sampler.population", "Population N", { required }),
              count("sampler.maxCohort", "Most places in a round", { usual: "no cap" }),
              samplerSeed,
            ],
          },
        ],
      },
    ],
  },
  {
    title: "Aggregation",
    fields: [
      {
        kind: "choice",
        path: "aggregation",
        label: "Updates become one by",
        by: "kind",
        usual: "mean",
        hint: "The mean trusts every client. The others bound what a few that lie can do; they keep all updates of a round in memory, and need a sampler that bounds the cohort.",
        options: [
          { value: undefined, label: "Their mean" },
          { value: "median", label: "Median of each parameter" },
          {
            value: "trimmedMean",
            label: "Trimmed mean",
            fields: [count("aggregation.trim", "Cut at each end", { required })],
          },
          {
            value: "krum",
            label: "Krum and multi-Krum",
            fields: [
              count("aggregation.byzantine", "Clients that may lie", { required, min: 0 }),
              count("aggregation.select", "Updates averaged", { usual: "as many as may be" }),
            ],
          },
          {
            value: "geometricMedian",
            label: "Geometric median (RFA)",
            fields: [
              count("aggregation.iterations", "Steps", { usual: "8" }),
              positive("aggregation.smoothing", "Smoothing", { usual: "1e-6" }),
            ],
          },
          {
            value: "centredClipping",
            label: "Centred clipping",
            fields: [
              positive("aggregation.radius", "Radius", { required }),
              count("aggregation.iterations", "Steps", { usual: "5" }),
            ],
          },
          {
            value: "normBounding",
            label: "Norms bounded by their median",
            fields: [positive("aggregation.factor", "Times the median", { usual: "1" })],
          },
        ],
      },
      {
        kind: "choice",
        path: "weighting",
        label: "Weight of an update",
        by: "kind",
        hint: "Usual is by examples, and equal under privacy and robust rules.",
        options: [
          {
            value: undefined,
            label: "As is usual",
          },
          { value: "uniform", label: "Equal" },
          {
            value: "byExamples",
            label: "By examples, up to a cap",
            fields: [positive("weighting.cap", "Cap in examples", { required })],
          },
        ],
      },
      {
        kind: "choice",
        path: "serverOptimizer",
        label: "Server optimizer",
        by: "kind",
        options: [
          { value: undefined, label: "FedAvg" },
          {
            value: "sgd",
            label: "SGD",
            fields: [
              positive("serverOptimizer.learningRate", "Server learning rate", { usual: "1" }),
            ],
          },
          {
            value: "momentum",
            label: "FedAvgM",
            fields: [
              positive("serverOptimizer.learningRate", "Server learning rate", { usual: "1" }),
              decay("serverOptimizer.momentum", "Momentum", "0.9"),
            ],
          },
          adaptive("adagrad", "FedAdagrad"),
          adaptive("adam", "FedAdam"),
          adaptive("yogi", "FedYogi"),
        ],
      },
      positive("clippingNorm", "Clipping norm", {
        ...{ usual: "none" },
        hint: "Longest delta of a client, in the model’s own units. Needed under privacy.",
      }),
    ],
  },
  {
    title: "Privacy",
    about:
      "What a setting costs is known before anything is trained: “tributary privacy plan” lists it in a terminal. The page of a task says what it has spent. Adaptive clipping, and another matrix than the best for the run, are written in the JSON.",
    fields: [
      {
        kind: "choice",
        path: "privacy",
        label: "Mechanism",
        by: "mechanism",
        usual: "none",
        options: [
          { value: undefined, label: "None" },
          {
            value: "central",
            label: "Central: the coordinator adds noise to the sum",
            fields: [
              ...noiseFields("Noise on the sum, over the clipping norm."),
              {
                ...{ kind: "pick", path: "privacy.noise", label: "How it is drawn" },
                options: [
                  { value: "fast", label: "Fast: a rounded normal" },
                  { value: "exact", label: "Exact: a discrete Gaussian, fifty times slower" },
                ],
              },
            ],
          },
          {
            value: "local",
            label: "Local: each client adds noise itself",
            fields: noiseFields("Noise on one delta, over twice the clipping norm."),
          },
          {
            value: "matrix",
            label: "Matrix: noise that takes back noise, for clients that keep limits",
            fields: [
              ...noiseFields("Noise, over what one client can change in the whole run."),
              count("privacy.rounds", "Rounds of the run", { required }),
              count("privacy.minSeparation", "Rounds between two of a client", { required }),
              count("privacy.maxParticipations", "Rounds of a client in all", { required }),
            ],
          },
        ],
      },
    ],
  },
  {
    title: "Schedule",
    fields: [
      count("schedule.minClients", "Clients to wait for", { usual: "as the sampler needs" }),
      count("schedule.minReports", "Reports that a round needs", {
        usual: "half of those expected",
      }),
      span("schedule.selectionDeadlineMs", "Longest wait for clients", "60000"),
      span("schedule.reportWindowMs", "Time to train and report", "300000"),
      span("schedule.aggregationDeadlineMs", "Longest aggregation", "120000"),
      span("schedule.pauseBetweenRoundsMs", "Rest between rounds", "0", { min: 0 }),
    ],
  },
  {
    title: "When it ends",
    fields: [
      count("stop.maxRounds", "After so many rounds", { usual: "never" }),
      {
        kind: "choice",
        path: "stop.target",
        label: "Once a target is reached",
        by: "metric",
        options: [
          { value: undefined, label: "No target" },
          ...[
            ["accuracy", "Accuracy of at least"],
            ["macroF1", "Macro F1 of at least"],
            ["loss", "Loss of at most"],
          ].map(([value, label = ""]): Option => {
            const path = "stop.target.value";
            return { value, label, fields: [{ kind: "number", path, label: "Value", required }] };
          }),
        ],
      },
    ],
  },
  {
    title: "Evaluation",
    fields: [
      {
        kind: "choice",
        path: "evaluation",
        label: "Who evaluates",
        by: "kind",
        usual: "none",
        options: [
          { value: undefined, label: "Nobody" },
          {
            value: "central",
            label: "The coordinator, on data of its own",
            fields: [
              {
                ...{ kind: "text", path: "evaluation.evaluator", label: "Evaluator", required },
                hint: "The name under which the coordinator’s program or config file brings it.",
              },
            ],
          },
          {
            value: "federated",
            label: "Clients, on the model they receive",
            fields: [
              count("evaluation.numClasses", "Classes", {
                ...{ required, min: 0, max: 1000, hint: "0 where only the loss is meant." },
              }),
            ],
          },
        ],
      },
    ],
  },
  {
    title: "Serving",
    about:
      "Clients that only use the model may fetch it in fewer bits; training begins from the exact one.",
    fields: [
      {
        ...{ kind: "pick", path: "serving.encodings", label: "Copies of every version" },
        options: [
          { value: [], label: "None" },
          { value: ["bfloat16"], label: "bfloat16: half the bytes" },
          { value: ["int8"], label: "int8: a quarter" },
          { value: ["bfloat16", "int8"], label: "bfloat16 and int8" },
        ],
      },
    ],
  },
];

/** Places of a task that the form has no field for, and says so; they are written as JSON. */
export const jsonOnly: readonly string[] = ["privacy.adaptiveClipping", "privacy.factorization"];
