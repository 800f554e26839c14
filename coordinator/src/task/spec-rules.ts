/** Rules across the fields of a task; each names both paths and both values. */

import type { TaskSpec } from "@tributary/protocol";
import { MAX_PARAMETERS } from "@tributary/protocol";

import type { Fault } from "../config/schema.ts";
import { localFault } from "./local-rules.ts";
import { encodingFault } from "./encoding-rules.ts";
import { checkMatrixTask } from "./matrix-task.ts";
import { gridFault } from "../privacy/grid.ts";
import { mostReports } from "../round/sampler.ts";
import { checkAggregation } from "./aggregation-rules.ts";
import { checkClipping, clippingGridFault } from "./spec-clipping.ts";

type Part = keyof TaskSpec;
type Report = (path: string, message: string) => void;

interface Rule {
  /** Parts that the rule looks at; it is not asked while one of them is wrong in itself. */
  readonly reads: readonly Part[];
  readonly check: (spec: TaskSpec, report: Report) => void;
}

/** @param wrong first segments of the paths that have a fault of their own */
export function crossFaults(spec: TaskSpec, wrong: ReadonlySet<string>): Fault[] {
  const faults: Fault[] = [];
  // A wrong root ("") leaves nothing to compare.
  if (wrong.has("")) return faults;
  const report: Report = (path, message) => void faults.push({ path, message });
  for (const { reads, check } of RULES) {
    if (!reads.some((part) => wrong.has(part))) check(spec, report);
  }
  return faults;
}

export const parametersOf = ({ tensors }: TaskSpec["model"]): number =>
  tensors.reduce((sum, { shape }) => sum + shape.reduce((size, n) => size * n, 1), 0);

/** A coin for each place takes about a microsecond, while nothing else runs. */
const MOST_CAPPED_POPULATION = 1_000_000;

const RULES: readonly Rule[] = [
  {
    reads: ["model"],
    check: ({ model }, report) => {
      const first = new Map<string, number>();
      for (const [index, { name }] of model.tensors.entries()) {
        const earlier = first.get(name);
        if (earlier === undefined) first.set(name, index);
        else {
          const path = `model.tensors.${index}.name`;
          report(path, `is ${JSON.stringify(name)}, as model.tensors.${earlier}.name is`);
        }
      }
      const parameters = parametersOf(model);
      if (parameters > MAX_PARAMETERS) {
        report("model.tensors", `has ${parameters} parameters, at most ${MAX_PARAMETERS} fit`);
      }
    },
  },
  {
    reads: ["schedule", "sampler"],
    check: ({ schedule: { minClients, minReports } }, report) => {
      if (minReports > minClients) {
        const message = `is ${minReports}, above schedule.minClients of ${minClients}: a round that starts with its minimum could never succeed`;
        report("schedule.minReports", message);
      }
    },
  },
  {
    reads: ["schedule", "sampler"],
    check: ({ schedule: { minClients, minReports }, sampler }, report) => {
      if (sampler.kind !== "uniform") return;
      const { cohortSize } = sampler;
      if (minReports > cohortSize) {
        const message = `is ${minReports}, above sampler.cohortSize of ${cohortSize}: no round could succeed`;
        report("schedule.minReports", message);
      }
      if (minClients < cohortSize) {
        const message = `is ${minClients}, below sampler.cohortSize of ${cohortSize}: no round would get its cohort; a smaller one is taken at schedule.selectionDeadlineMs anyway`;
        report("schedule.minClients", message);
      }
    },
  },
  {
    reads: ["schedule", "sampler"],
    check: ({ schedule: { minClients }, sampler }, report) => {
      if (sampler.kind !== "poisson" || sampler.population >= minClients) return;
      const message = `is ${sampler.population}, below schedule.minClients of ${minClients}: so many clients do not exist`;
      report("sampler.population", message);
    },
  },
  {
    reads: ["schedule", "sampler"],
    check: ({ schedule: { minReports }, sampler }, report) => {
      if (sampler.kind !== "poisson" || sampler.maxCohort === undefined) return;
      const { maxCohort, population } = sampler;
      if (maxCohort < minReports) {
        const message = `is ${maxCohort}, below schedule.minReports of ${minReports}: no round could succeed`;
        report("sampler.maxCohort", message);
      }
      if (population > MOST_CAPPED_POPULATION) {
        const message = `is ${population}, while sampler.maxCohort is set, which needs a coin for each place of at most ${MOST_CAPPED_POPULATION}; leave sampler.maxCohort out`;
        report("sampler.population", message);
      }
    },
  },
  {
    reads: ["stop", "evaluation"],
    check: ({ stop: { target }, evaluation }, report) => {
      if (target === undefined) return;
      const { metric, value } = target;
      if (evaluation.kind === "none") {
        const message = `is "${metric}", while evaluation.kind is "none": nothing would measure it`;
        report("stop.target.metric", message);
      }
      if (metric === "loss") return;
      if (evaluation.kind === "federated" && evaluation.numClasses === 0) {
        const message = `is "${metric}", while evaluation.numClasses is 0: only the loss is measured`;
        report("stop.target.metric", message);
      }
      if (value < 0 || value > 1) {
        const message = `is ${value}, while stop.target.metric is "${metric}", which lies in 0 to 1`;
        report("stop.target.value", message);
      }
    },
  },
  {
    reads: [
      "aggregation",
      "privacy",
      "weighting",
      "sampler",
      "schedule",
      "stop",
      "evaluation",
      "plan",
    ],
    check: checkAggregation,
  },
  {
    reads: ["privacy", "weighting"],
    check: ({ privacy, weighting }, report) => {
      if (privacy.mechanism === "none" || weighting.kind === "uniform") return;
      const message = `is "${weighting.kind}", while privacy.mechanism is "${privacy.mechanism}": a weight would multiply what one client can change; use "uniform"`;
      report("weighting.kind", message);
    },
  },
  {
    reads: ["privacy", "clippingNorm"],
    check: ({ privacy, clippingNorm }, report) => {
      if (privacy.mechanism === "none" || clippingNorm !== undefined) return;
      const message = `is not set, while privacy.mechanism is "${privacy.mechanism}": without a bound on a delta no noise hides it`;
      report("clippingNorm", message);
    },
  },
  {
    reads: ["privacy", "clippingNorm", "model", "sampler"],
    check: ({ privacy, clippingNorm, model, sampler }, report) => {
      if (privacy.mechanism === "none" || clippingNorm === undefined) return;
      if (privacy.mechanism === "local") return;
      const { noiseMultiplier } = privacy;
      const parameterCount = parametersOf(model);
      const settings = { noiseMultiplier, clippingNorm, parameterCount };
      const fault = gridFault(settings, mostReports(sampler));
      if (fault !== undefined) report("privacy.noiseMultiplier", `cannot be granted: ${fault}`);
    },
  },
  {
    reads: ["privacy", "clippingNorm"],
    check: ({ privacy, clippingNorm }, report) => {
      if (privacy.mechanism !== "local" || clippingNorm === undefined) return;
      const fault = localFault(privacy, clippingNorm);
      if (fault !== undefined) report("privacy.noiseMultiplier", fault);
    },
  },
  {
    reads: ["privacy", "model"],
    check: (spec, report) => checkMatrixTask(spec, parametersOf(spec.model), report),
  },
  {
    reads: ["privacy", "clippingNorm", "model", "sampler", "schedule"],
    check: ({ privacy, clippingNorm, model, sampler }, report) => {
      if (privacy.mechanism !== "central" || privacy.adaptiveClipping === undefined) return;
      checkClipping(privacy, privacy.adaptiveClipping, clippingNorm, report);
      if (clippingNorm === undefined) return;
      const fault = clippingGridFault(privacy, privacy.adaptiveClipping, {
        ...{ parameterCount: parametersOf(model), summands: mostReports(sampler) },
      });
      if (fault !== undefined) report("privacy.adaptiveClipping", `cannot be granted: ${fault}`);
    },
  },
  {
    reads: ["privacy", "sampler"],
    check: ({ privacy, sampler }, report) => {
      if (privacy.mechanism === "none" || sampler.kind === "all") return;
      if (sampler.seed !== undefined) {
        const message = `is ${sampler.seed}, while privacy.mechanism is "${privacy.mechanism}": whoever knows the seed knows the cohort; leave it out`;
        report("sampler.seed", message);
      }
      // At delta = 1 / N, publishing one person's data in full would satisfy the promise.
      if (sampler.kind === "poisson" && privacy.delta >= 1 / sampler.population) {
        const message = `is ${privacy.delta}, not below 1 / sampler.population of ${sampler.population}: it would allow to give one client away`;
        report("privacy.delta", message);
      }
    },
  },
  {
    reads: ["privacy", "plan"],
    check: ({ privacy, plan }, report) => {
      const fault = encodingFault(plan.encoding, privacy.mechanism);
      if (fault !== undefined) report("plan.encoding.kind", fault);
    },
  },
  {
    reads: ["serving"],
    check: ({ serving }, report) => {
      const encodings = serving?.encodings ?? [];
      for (const [i, encoding] of encodings.entries()) {
        if (encodings.indexOf(encoding) === i) continue;
        report(`serving.encodings.${i}`, `is "${encoding}", which stands there already`);
      }
    },
  },
  {
    reads: ["privacy", "evaluation"],
    check: ({ privacy, evaluation }, report) => {
      if (privacy.mechanism === "none" || evaluation.kind !== "federated") return;
      const message = `is "federated", while privacy.mechanism is "${privacy.mechanism}": its sums are exact and no budget pays for them; use "central" or "none"`;
      report("evaluation.kind", message);
    },
  },
];
