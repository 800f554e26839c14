import type { RoundPhase, RoundResource, TaskResource } from "@tributary/protocol";
import { describe, expect, test } from "vitest";

import {
  committedOf,
  countsOf,
  privateTaskOf,
  roundOf,
  START_MS,
  taskOf,
} from "../data/resources.fixture.ts";
import { betweenRounds, phaseSteps, phaseWaitsFor } from "./round-now.ts";

const PHASES: readonly RoundPhase[] = [
  "selecting",
  "reporting",
  "aggregating",
  "committed",
  "abandoned",
];
const states = (round: RoundResource) => phaseSteps(round).map(({ state }) => state);

describe("[DB10] the round now", () => {
  test("[DB10] each phase says what it waits for, with its numbers", () => {
    const task = taskOf();
    expect(phaseWaitsFor(task, roundOf(1))).toBe("Waits for 10 clients; 4 are here.");
    const participants = countsOf({ selected: 12, reported: 5, pending: 7 });
    expect(phaseWaitsFor(task, roundOf(1, { phase: "reporting", participants }))).toBe(
      "Waits for reports: 5 of 8 reports; at least 3 must come.",
    );
    expect(phaseWaitsFor(task, roundOf(1, { phase: "aggregating" }))).toBe(
      "The coordinator averages the updates and publishes it.",
    );
    expect(phaseWaitsFor(task, committedOf(1))).toBe("Version 1 is published.");
    expect(phaseWaitsFor(task, roundOf(1, { phase: "abandoned", reason: "tooFewClients" }))).toBe(
      "Abandoned: too few clients came.",
    );
  });

  test("[DB10] under privacy every phase has its sentence, without a hole where a number is withheld", () => {
    for (const task of [privateTaskOf(), privateTaskOf({ clientsWaiting: 2 })]) {
      for (const phase of PHASES) {
        const text = phaseWaitsFor(
          task,
          roundOf(1, {
            phase,
            participants: undefined,
            phases: undefined,
            rejections: undefined,
            updateBytes: undefined,
          }),
        );
        expect(text).toMatch(/^[A-Z].*\.$/);
        expect(text).not.toMatch(/NaN|undefined|–/);
      }
    }
    expect(phaseWaitsFor(privateTaskOf(), roundOf(1, { phase: "abandoned" }))).toContain(
      "operator’s token",
    );
  });

  test("[DB10] steps: done, now, to come, and where an abandoned round failed", () => {
    expect(states(roundOf(1))).toEqual(["now", "next", "next", "next"]);
    expect(states(roundOf(1, { phase: "aggregating" }))).toEqual(["done", "done", "now", "next"]);
    expect(states(committedOf(1))).toEqual(["done", "done", "done", "done"]);
    const phases = (["selecting", "reporting"] as const).map((phase) => ({
      ...{ phase, startedAt: "", durationMs: 5 },
    }));
    expect(states(roundOf(1, { phase: "abandoned", phases }))).toEqual([
      ...["done", "failed", "next", "next"],
    ]);
    expect(phaseSteps(roundOf(1, { phase: "abandoned", phases }))[0]?.durationMs).toBe(5);
  });

  test("[DB10] between rounds: what comes next, and when", () => {
    const at = new Date(START_MS + 4000).toISOString();
    const next: readonly [Partial<TaskResource>, string][] = [
      [{ nextRoundAt: at }, "The next round starts in 4\u202fs."],
      [{}, "The next round starts as soon as clients wait for it."],
      [{ state: "paused" }, "The task is paused: no round starts until it is resumed."],
      [
        { state: "ended", endReason: "targetReached" },
        "The task has ended: its target is reached.",
      ],
    ];
    for (const [facts, text] of next) expect(betweenRounds(taskOf(facts), START_MS)).toBe(text);
  });
});
