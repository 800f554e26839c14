/** A task as it is written -> the complete task: every default filled in, every fault told at once. */

import type { TaskSpec } from "@tributary/protocol";

import { leastReports, mostSelected } from "../aggregation/robust/counts.ts";
import type { Fault } from "../config/schema.ts";
import { assertNoFaults, fillIn } from "../config/schema.ts";
import { expectedReports } from "../round/sampler.ts";
import { completeFactorization } from "./matrix-task.ts";
import { withClippingDefaults } from "./spec-clipping.ts";
import { crossFaults } from "./spec-rules.ts";
import type { WrittenTask } from "./spec-schema.ts";
import { TaskSchema } from "./spec-schema.ts";

/** Checked part by part, but what is wrong may be missing. */
type Draft = Partial<Omit<WrittenTask, "plan">> & { readonly plan?: Partial<WrittenTask["plan"]> };

/**
 * Fills in what a task leaves out and checks it, alone and across its fields. Resolving a resolved
 * task changes nothing.
 * @param input a `TaskSpecInput` of the protocol; unknown keys are refused
 * @returns a frozen object
 * @throws FederatedError CONFIG_INVALID, with all faults in `details.faults`
 */
export function resolveTaskSpec(input: unknown): TaskSpec {
  const faults: Fault[] = [];
  const draft = fillIn(TaskSchema, input, faults) as Draft | undefined;
  const spec = complete(draft ?? {});
  faults.push(...crossFaults(spec, new Set(faults.map(({ path }) => path.split(".")[0] ?? ""))));
  assertNoFaults("the task", faults);
  return Object.freeze(spec);
}

/** The defaults that depend on other fields. */
function complete(draft: Draft): TaskSpec {
  const plan = { ...draft.plan, learningRate: draft.plan?.learningRate ?? usualStep(draft) };
  const maxExamples = draft.plan?.maxExamples;
  const weighting =
    draft.weighting ??
    (isRobust(draft) || (draft.privacy !== undefined && draft.privacy.mechanism !== "none")
      ? // What a client says of its examples may be a lie like its update.
        // Noise is calibrated to one clipped delta; a weight would scale what one client can change.
        { kind: "uniform" }
      : // FedAvg weighs by examples. Nobody can check what a client claims, so the claim is bounded:
        // by what the plan lets it use, and otherwise at a size that few clients exceed. That is for honest
        // ones: who lies does so by its update, too, and only clipping or a robust rule bounds that.
        { kind: "byExamples", cap: maxExamples ?? 10_000 });
  const minClients = draft.schedule?.minClients ?? usualMinClients(draft.sampler);
  const minReports = draft.schedule?.minReports ?? usualMinReports(draft, minClients);
  const schedule = { ...draft.schedule, minClients, minReports };
  const expected =
    draft.sampler === undefined ? Number.NaN : expectedReports(draft.sampler, minClients);
  const privacy =
    // What is wrong in itself is missing from the draft.
    draft.privacy?.mechanism === "matrix" && isWritten(draft.privacy.factorization)
      ? Object.freeze({ ...draft.privacy, factorization: completeFactorization(draft.privacy) })
      : withClippingDefaults(draft.privacy, draft.clippingNorm, expected);
  // The schema has checked every part; what is missing here is among the faults.
  return {
    ...draft,
    ...(privacy === undefined ? {} : { privacy }),
    ...(draft.aggregation?.kind === "krum"
      ? { aggregation: Object.freeze(withUsualSelect(draft.aggregation, minReports)) }
      : {}),
    plan: Object.freeze(plan),
    weighting: Object.freeze(weighting),
    schedule: Object.freeze(schedule),
  } as TaskSpec;
}

const isWritten = (part: object | undefined): boolean => part !== undefined;

function usualStep({ plan }: Draft): number {
  switch (plan?.optimizer?.kind) {
    // Kingma and Ba 2015.
    case "adam":
      return 0.001;
    // With momentum 0.9 a step adds up to ten times its size: the same pace as plain SGD below.
    case "momentum":
      return 0.01;
    // Near the best for the networks of McMahan et al. 2017.
    case "sgd":
    case undefined:
      return 0.1;
  }
}

/** Clients to wait for. */
function usualMinClients(sampler: Draft["sampler"]): number {
  switch (sampler?.kind) {
    // Enough for the whole draw, so that over-selection has whom to select.
    case "uniform":
      return Math.ceil(sampler.cohortSize * (1 + sampler.overSelection));
    // Half of the population: some are always away, and the fixed denominator q * N then shrinks a
    // step by no more than half.
    case "poisson":
      return Math.ceil(sampler.population / 2);
    // Two: the mean of one client is that client's own delta.
    case "all":
    case undefined:
      return 2;
  }
}

const isRobust = ({ aggregation }: Draft): boolean =>
  aggregation !== undefined && aggregation.kind !== "mean";

/** Of krum: the most that may be averaged of the reports that a round has at least. */
const withUsualSelect = <R extends { byzantine: number; select?: number }>(
  rule: R,
  minReports: number,
) => ({ ...rule, select: rule.select ?? Math.max(1, mostSelected(rule.byzantine, minReports)) });

/**
 * Half of the expected reports, for a mean that means something; two, so that it is nobody's own; and what the rule
 * of the task needs.
 */
function usualMinReports({ sampler, aggregation }: Draft, minClients: number): number {
  const expected =
    sampler?.kind === "uniform"
      ? sampler.cohortSize
      : sampler?.kind === "poisson"
        ? Math.max(1, Math.round(sampler.samplingRate * sampler.population))
        : minClients;
  return Math.min(
    expected,
    minClients,
    Math.max(leastReports(aggregation ?? { kind: "mean" }), Math.ceil(expected / 2)),
  );
}
