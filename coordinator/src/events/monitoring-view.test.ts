import type { MonitoringEvent, RoundResource, TaskId, TaskResource } from "@tributary/protocol";
import { describe, expect, test } from "vitest";

import { createPublicView, operatorView, reasonToTell } from "./monitoring-view.ts";

const PRIVATE = "private" as TaskId;
const PLAIN = "plain" as TaskId;
const view = createPublicView((taskId) => taskId !== PLAIN);
const at = "2026-01-01T00:00:00.000Z";
const evaluation = { source: "federated", numExamples: 10, loss: 0.5, modelVersion: 1 } as const;

const round = (taskId: TaskId): RoundResource => ({
  ...{ roundId: `${taskId}.2` as RoundResource["roundId"], taskId, roundNumber: 2 },
  ...{ phase: "abandoned", reason: "tooFewReports", baseModelVersion: 1, openedAt: at },
  ...{ endedAt: at, deadlineAt: at, phases: [], rejections: { UPDATE_NOT_FINITE: 13 } },
  participants: {
    ...{ selected: 50, reported: 37, pending: 0, declined: 0 },
    ...{ left: 0, disconnected: 0, rejected: 13, timedOut: 0 },
  },
  ...{ updateBytes: 3737, trainLoss: 0.25, evaluation, epsilon: 1.5 },
});

describe("the view of whoever is not the operator", () => {
  test("[EG6] of a private round it has what is paid for or does not depend on clients, and nothing else", () => {
    expect(view.round(round(PRIVATE))).toEqual({
      ...{ roundId: "private.2", taskId: "private", roundNumber: 2, phase: "abandoned" },
      ...{ baseModelVersion: 1, openedAt: at, endedAt: at, epsilon: 1.5 },
    });
    const central = { ...evaluation, source: "central" as const };
    expect(view.round({ ...round(PRIVATE), evaluation: central }).evaluation).toEqual(central);
    expect(view.round(round(PLAIN))).toEqual(round(PLAIN));
    expect(operatorView.round(round(PRIVATE))).toEqual(round(PRIVATE));
  });

  test("[EG6] a field that no list names is not shown, nor anything of a task that nobody knows", () => {
    const strange = { ...round(PRIVATE), meanNorm: 37.5 };
    expect(view.round(strange)).not.toHaveProperty("meanNorm");
    const unknown = "unknown" as TaskId;
    expect(view.round(round(unknown))).not.toHaveProperty("participants");
    const task = {
      ...{ taskId: PRIVATE, clientsWaiting: 11, currentRound: round(PRIVATE), evaluation },
      ...{ dropouts: 13, roundsCommitted: 1 },
    } as unknown as TaskResource;
    const shown = view.task(task);
    expect(Object.keys(shown).sort()).toEqual(["currentRound", "roundsCommitted", "taskId"]);
    expect(shown.currentRound).toEqual(view.round(round(PRIVATE)));
  });

  test("[EG6] progress is no event for it, and every other event carries what it may see", () => {
    const event = (type: "round:progress" | "round:phaseChanged"): MonitoringEvent => ({
      ...{ id: "1", at, taskId: PRIVATE, type, data: round(PRIVATE) },
    });
    expect(view.event(event("round:progress"))).toBeUndefined();
    expect(view.event(event("round:phaseChanged"))?.data).toEqual(view.round(round(PRIVATE)));
    expect(operatorView.event(event("round:progress"))).toEqual(event("round:progress"));
  });

  test("[EG3] a reason that lies with the clients is not told, what the operator did is", () => {
    for (const reason of ["tooFewClients", "tooFewReports", "aggregationFailed"] as const) {
      expect(reasonToTell(true, reason)).toBeUndefined();
      expect(reasonToTell(false, reason)).toBe(reason);
    }
    expect(reasonToTell(true, "aggregationTimedOut")).toBeUndefined();
    expect(reasonToTell(true, "cancelled")).toBe("cancelled");
    expect(reasonToTell(true, "paused")).toBe("paused");
  });
});
