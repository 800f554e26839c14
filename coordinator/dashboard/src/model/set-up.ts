/** A task's spec as facts in words, in the order in which a person would ask for them. */

import type {
  AggregationSpec,
  SamplerSpec,
  ServerOptimizerSpec,
  TaskResource,
  TaskSpec,
} from "@tributary/protocol";

import { bytesText, counted, countText, dateText, settingSpanText, settingText } from "./format.ts";

export type Fact = readonly [name: string, text: string];

export function setUpFacts({ spec, layout, checkpoint, createdAt }: TaskResource): readonly Fact[] {
  const { plan, schedule } = spec;
  return [
    ["Created", dateText(Date.parse(createdAt))],
    [
      "Model",
      `${counted(layout.tensors.length, "tensor")}, ${counted(layout.parameterCount, "parameter")}, ${bytesText(checkpoint.bytes)}`,
    ],
    ["Clients are chosen", samplerText(spec.sampler)],
    [
      "Each client trains",
      `${counted(plan.epochs, "epoch")} in batches of ${countText(plan.batchSize)}, ${plan.optimizer.kind} at learning rate ${settingText(plan.learningRate)}${plan.proximalMu > 0 ? `, FedProx µ ${settingText(plan.proximalMu)}` : ""}`,
    ],
    ["And sends", encodingText(plan)],
    ["Updates become one", aggregationText(spec.aggregation)],
    [
      "Updates count",
      spec.weighting.kind === "uniform"
        ? "all alike"
        : `by their examples, up to ${countText(spec.weighting.cap)}`,
    ],
    ...(spec.clippingNorm === undefined
      ? []
      : ([["Updates are clipped", `to norm ${settingText(spec.clippingNorm)}`]] as const)),
    [
      spec.aggregation.kind === "mean" ? "The mean is applied" : "The outcome is applied",
      optimizerText(spec.serverOptimizer),
    ],
    [
      "A round needs",
      `${counted(schedule.minClients, "client")} and ${counted(schedule.minReports, "report")}`,
    ],
    [
      "And takes at most",
      `${settingSpanText(schedule.selectionDeadlineMs)} to gather, ${settingSpanText(schedule.reportWindowMs)} to report, ${settingSpanText(schedule.aggregationDeadlineMs)} to aggregate`,
    ],
    ...(schedule.pauseBetweenRoundsMs > 0
      ? ([["Rest between rounds", settingSpanText(schedule.pauseBetweenRoundsMs)]] as const)
      : []),
    ["Quality is judged", evaluationText(spec.evaluation)],
    ...(spec.serving === undefined
      ? []
      : ([["Copies for serving", spec.serving.encodings.join(" and ")]] as const)),
    ["It ends", stopText(spec)],
  ];
}

function encodingText({ encoding, compression }: TaskSpec["plan"]): string {
  const packed = compression === "none" ? "" : `, packed with ${compression}`;
  if (!("fraction" in encoding)) return `its update as ${encoding.kind}${packed}`;
  const which = encoding.kind === "topK" ? "largest" : "randomly chosen";
  const kept = encoding.feedback ? ", and keeps the rest for the next" : "";
  return `the ${which} ${settingPercent(encoding.fraction)} of its update as ${encoding.values}${packed}${kept}`;
}

function samplerText(sampler: SamplerSpec): string {
  switch (sampler.kind) {
    case "all":
      return "all that wait";
    case "uniform": {
      const more =
        sampler.overSelection > 0 ? ` and ${settingPercent(sampler.overSelection)} more` : "";
      return `${countText(sampler.cohortSize)}${more}, each as likely as any other`;
    }
    case "poisson": {
      const most =
        sampler.maxCohort === undefined ? "" : `, ${countText(sampler.maxCohort)} at most`;
      return `each by a coin of its own at ${settingPercent(sampler.samplingRate)}, of a population of ${countText(sampler.population)}${most}`;
    }
  }
}

function aggregationText(rule: AggregationSpec): string {
  switch (rule.kind) {
    case "mean":
      return "by their mean";
    case "median":
      return "by the median of each parameter";
    case "trimmedMean":
      return `by the mean of each parameter without the ${countText(rule.trim)} smallest and the ${countText(rule.trim)} largest`;
    case "krum":
      return `by the mean of the ${counted(rule.select, "update")} nearest to others (Krum), with ${counted(rule.byzantine, "client")} that may lie`;
    case "geometricMedian":
      return `by their geometric median (RFA), in ${counted(rule.iterations, "step")}`;
    case "centredClipping":
      return `by centred clipping to a radius of ${settingText(rule.radius)}, in ${counted(rule.iterations, "step")}`;
    case "normBounding":
      return `by the mean of updates of at most ${settingText(rule.factor)} times the median norm`;
  }
}

function optimizerText(optimizer: ServerOptimizerSpec): string {
  const rate = `at rate ${settingText(optimizer.learningRate)}`;
  switch (optimizer.kind) {
    case "sgd":
      return `as it is, ${rate}`;
    case "momentum":
      return `with momentum ${settingText(optimizer.momentum)}, ${rate}`;
    case "adagrad":
    case "adam":
    case "yogi":
      return `by FedOpt (${optimizer.kind}), ${rate}`;
  }
}

function evaluationText(evaluation: TaskSpec["evaluation"]): string {
  switch (evaluation.kind) {
    case "none":
      return "by nobody";
    case "central":
      return `by the coordinator’s evaluator “${evaluation.evaluator}”`;
    case "federated":
      return "by the clients, on data of their own";
  }
}

const settingPercent = (share: number) => `${settingText(100 * share)}\u202f%`;

const METRICS = { accuracy: "accuracy", macroF1: "macro F1", loss: "loss" } as const;

function stopText({ stop, privacy }: TaskSpec): string {
  const ends: string[] = [];
  if (stop.maxRounds !== undefined)
    ends.push(`after ${counted(stop.maxRounds, "committed round")}`);
  if (stop.target !== undefined) {
    const { metric, value } = stop.target;
    const side = metric === "loss" ? "at most" : "at least";
    ends.push(`when ${METRICS[metric]} is ${side} ${settingText(value)}`);
  }
  if (privacy.mechanism === "central") ends.push("before its privacy budget is exceeded");
  if (privacy.mechanism === "matrix")
    ends.push(`after ${counted(privacy.rounds, "step")} of its run`);
  return ends.length === 0 ? "when an operator ends it" : ends.join(", or ");
}
