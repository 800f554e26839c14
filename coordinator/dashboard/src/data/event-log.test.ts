import type { TaskId } from "@tributary/protocol";
import { expect, test } from "vitest";

import { createEventLog } from "./event-log.ts";
import { committedOf, roundEvent, roundOf } from "./resources.fixture.ts";

test("[DB7] the newest lines are kept, newest first, and counts of reports are none", () => {
  const log = createEventLog(3);
  log.add([
    roundEvent(roundOf(1)),
    roundEvent(roundOf(1, { phase: "reporting" }), "round:progress"),
    roundEvent(committedOf(1)),
  ]);
  expect(log.entries.value.map(({ text }) => text)).toEqual([
    "Round 1 committed, 30.0\u202fs",
    "Round 1 opened, waiting for clients",
  ]);
  log.note(5, "Connection lost", "bad");
  log.add([
    {
      id: "9",
      type: "task:stateChanged",
      at: "2026-01-02T03:04:05.000Z",
      taskId: "digits" as TaskId,
      data: { state: "ended", reason: "privacyBudgetExhausted" },
    },
  ]);
  expect(log.entries.value.map(({ text, tone, kind }) => [kind, tone, text])).toEqual([
    ["task", "plain", "Task ended: its privacy budget is spent"],
    ["connection", "bad", "Connection lost"],
    ["round", "good", "Round 1 committed, 30.0\u202fs"],
  ]);
  expect(new Set(log.entries.value.map(({ key }) => key)).size).toBe(3);
});

test("[DB7] an abandoned round says why, where that is told", () => {
  const log = createEventLog();
  log.add([
    roundEvent(roundOf(1, { phase: "abandoned", reason: "tooFewReports" })),
    roundEvent(roundOf(2, { phase: "abandoned", reason: "paused" })),
    roundEvent(roundOf(3, { phase: "abandoned", participants: undefined })),
  ]);
  expect(log.entries.value.map(({ tone, text }) => `${tone}: ${text}`)).toEqual([
    "bad: Round 3 abandoned",
    "plain: Round 2 abandoned: an operator paused the task",
    "bad: Round 1 abandoned: too few clients reported",
  ]);
});
