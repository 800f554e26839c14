/** Why a simulation came to nothing: how often for which reason, and which settings stand against it. Pure. */

import type { AbandonReason, TaskSpec } from "@tributary/protocol";

import type { SimulatedRound, SimulationEnd, SimulationStall } from "./report.ts";

export interface StallFacts {
  readonly spec: Pick<TaskSpec, "schedule">;
  /** All there are. */
  readonly clients: number;
  readonly end: SimulationEnd;
  readonly rounds: readonly SimulatedRound[];
}

/** Undefined where the task came to its end, or to at least one version before time or clients did. */
export function stallOf({ spec, clients, end, rounds }: StallFacts): SimulationStall | undefined {
  if (end.kind === "taskEnded" || end.kind === "interrupted") return undefined;
  const last = rounds.findLastIndex(({ phase }) => phase === "committed");
  if (end.kind !== "stalled" && last >= 0) return undefined;
  const lost = rounds.slice(last + 1);
  const abandoned: Partial<Record<AbandonReason, number>> = {};
  for (const { reason } of lost) {
    if (reason !== undefined) abandoned[reason] = (abandoned[reason] ?? 0) + 1;
  }
  const count = lost.length === 1 ? "1 round was" : `${lost.length} rounds in a row were`;
  const told = [
    last < 0 ? "no round was committed" : `nothing was committed after round ${last + 1}`,
    ...(lost.length === 0
      ? [end.kind === "nobodyLeft" ? "no client comes" : "the time was up before a round ended"]
      : [`${count} abandoned (${namesOf(abandoned)})`]),
  ].join(": ");
  const hints = adviceOf(abandoned, { spec, clients, lost });
  return { code: "SIMULATION_STALLED", message: [told, ...hints].join("; "), abandoned };
}

const namesOf = (abandoned: SimulationStall["abandoned"]): string =>
  Object.entries(abandoned)
    .map(([reason, count]) => `${reason} ${count}`)
    .join(", ");

function adviceOf(
  abandoned: SimulationStall["abandoned"],
  {
    spec,
    clients,
    lost,
  }: Pick<StallFacts, "spec" | "clients"> & { readonly lost: StallFacts["rounds"] },
): readonly string[] {
  const { minClients, minReports, selectionDeadlineMs, reportWindowMs } = spec.schedule;
  const hints: string[] = [];
  if (abandoned.tooFewClients !== undefined) {
    hints.push(
      `schedule.minClients is ${minClients} and schedule.minReports ${minReports}, with ${clients} ${clients === 1 ? "client" : "clients"} in all: too few waited within schedule.selectionDeadlineMs ${selectionDeadlineMs}`,
    );
  }
  if (abandoned.tooFewReports !== undefined) {
    const places = lost.map(({ participants: { reported, selected } }) => ({ reported, selected }));
    const best = places.reduce((a, b) => (b.reported > a.reported ? b : a));
    hints.push(
      `schedule.minReports is ${minReports}, and at best ${best.reported} of ${best.selected} places reported within schedule.reportWindowMs ${reportWindowMs}`,
    );
  }
  if (abandoned.aggregationFailed !== undefined)
    hints.push("the report's warnings say what failed");
  return hints;
}
