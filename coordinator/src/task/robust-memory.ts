/** Do the rounds of a task with a robust aggregation fit into the memory that is there for them? */

import type { TaskSpec } from "@tributary/protocol";
import { maxPayloadBytes } from "@tributary/protocol";

import { robustRoundBytes } from "../aggregation/robust/memory.ts";
import type { Fault } from "../config/schema.ts";
import { mostReports } from "../round/sampler.ts";
import { parametersOf } from "./spec-rules.ts";

/** Bytes that a round of the task holds at most beyond what every round does; 0 for the mean, which keeps no update. */
export function robustBytesOf({ aggregation, sampler, model, plan }: TaskSpec): number {
  if (aggregation.kind === "mean") return 0;
  const parameterCount = parametersOf(model);
  const updateBytes = maxPayloadBytes(plan.encoding, parameterCount);
  return robustRoundBytes(aggregation, {
    ...{ reports: mostReports(sampler), updateBytes, parameterCount },
  });
}

/** @param others tasks that may have a round open at the same time */
export function robustMemoryFault(
  spec: TaskSpec,
  others: readonly TaskSpec[],
  limitBytes: number,
): Fault | undefined {
  const own = robustBytesOf(spec);
  const taken = others.reduce((sum, other) => sum + robustBytesOf(other), 0);
  if (own === 0 || own + taken <= limitBytes) return undefined;
  const { kind } = spec.aggregation;
  const message = `is "${kind}", which keeps every update of a round: ${mostReports(spec.sampler)} reports of ${maxPayloadBytes(spec.plan.encoding, parametersOf(spec.model))} bytes and what it computes with are ${own} bytes, and with ${taken} of other tasks above limits.robustMemoryBytes of ${limitBytes}; choose a smaller cohort, or raise the limit`;
  return { path: "aggregation.kind", message };
}
