/** What the rest of a task must be for its aggregation rule to bound what lying clients can do. */

import type { RobustRule, TaskSpec } from "@tributary/protocol";

import { leastReports, mostSelected } from "../aggregation/robust/counts.ts";
import { MOST_ROWS } from "../aggregation/robust/kernel/robust.ts";
import { mostReports } from "../round/sampler.ts";

type Report = (path: string, message: string) => void;

export function checkAggregation(spec: TaskSpec, report: Report): void {
  const { aggregation, privacy, weighting, sampler, stop, evaluation } = spec;
  if (aggregation.kind === "mean") return;
  const what = `aggregation.kind is "${aggregation.kind}"`;
  if (privacy.mechanism !== "none") {
    const message = `is "${aggregation.kind}", while privacy.mechanism is "${privacy.mechanism}": ${NOT_PRIVATE[privacy.mechanism]}; use "mean"`;
    report("aggregation.kind", message);
    return;
  }
  checkCounts(aggregation, spec.schedule.minReports, report);
  if (weighting.kind !== "uniform") {
    const message = `is "${weighting.kind}", while ${what}: a client that lies about its examples would count for many; use "uniform"`;
    report("weighting.kind", message);
  }
  const { encoding } = spec.plan;
  if (encoding.kind === "topK" || encoding.kind === "randomK") {
    const message = `is "${encoding.kind}", while ${what}: most numbers of such updates are zeros, so that medians would be zeros and distances tell which were sent; use "float32", "bfloat16", "int8" or "int4"`;
    report("plan.encoding.kind", message);
  }
  if (sampler.kind === "all") {
    const message = `is "all", while ${what}, which keeps every update of a round: nothing bounds how many; use "uniform" with a cohortSize`;
    report("sampler.kind", message);
  } else if (mostReports(sampler) > MOST_ROWS) {
    const message = `allows ${mostReports(sampler)} reports in a round, while ${what}, which takes at most ${MOST_ROWS}`;
    report("sampler", message);
  }
  if (stop.target !== undefined && evaluation.kind === "federated") {
    const message = `is "${stop.target.metric}", while evaluation.kind is "federated" and ${what}: clients that lie would decide when the task ends; use evaluation "central"`;
    report("stop.target.metric", message);
  }
}

/** Why the guarantee would not hold, or what it costs would be wasted. */
const NOT_PRIVATE = {
  central:
    "the noise is measured by how much one client can change a sum of clipped updates, and which updates such a rule keeps can change by far more",
  matrix:
    "the noise is measured by how much one client can change a sum of clipped updates, and which updates such a rule keeps can change by far more",
  local:
    "each update is mostly its client's own noise, so that its rank and its distance from others tell of noise and not of lies",
} as const;

function checkCounts(rule: RobustRule, minReports: number, report: Report): void {
  const least = leastReports(rule);
  switch (rule.kind) {
    case "trimmedMean":
      if (minReports < least) {
        const message = `is ${rule.trim}, while schedule.minReports is ${minReports}: of fewer than ${least} reports none is left when ${rule.trim} are cut at each end`;
        report("aggregation.trim", message);
      }
      return;
    case "krum":
      if (minReports < least) {
        const message = `is ${rule.byzantine}, while schedule.minReports is ${minReports}: among fewer than ${least} reports so many liars can pass for honest`;
        report("aggregation.byzantine", message);
      } else if (rule.select > mostSelected(rule.byzantine, minReports)) {
        const message = `is ${rule.select}, while schedule.minReports is ${minReports} and aggregation.byzantine ${rule.byzantine}: at most ${mostSelected(rule.byzantine, minReports)} may be averaged`;
        report("aggregation.select", message);
      }
      return;
    case "median":
    case "geometricMedian":
    case "centredClipping":
    case "normBounding":
      if (minReports < least) {
        const message = `is ${minReports}, while aggregation.kind is "${rule.kind}": of fewer than ${least} reports one liar is half`;
        report("schedule.minReports", message);
      }
  }
}
