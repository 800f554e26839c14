import type { Digest, MonitoringEvent, TaskId } from "@tributary/protocol";
import { expect, test } from "vitest";

import { applyEvent, missedRounds } from "./apply-event.ts";
import { checkpointOf, committedOf, roundEvent, roundOf, taskOf } from "./resources.fixture.ts";

const stateEvent = (data: Extract<MonitoringEvent, { type: "task:stateChanged" }>["data"]) => ({
  id: "1",
  type: "task:stateChanged" as const,
  at: "2026-01-02T03:04:05.000Z",
  taskId: "digits" as TaskId,
  data,
});

test("[DB4] a task follows its rounds from the first phase to the commit", () => {
  const evaluation = { source: "central" as const, modelVersion: 1, numExamples: 9, loss: 0.3 };
  const events = [
    roundEvent(roundOf(1)),
    roundEvent(roundOf(1, { phase: "reporting" })),
    roundEvent(roundOf(1, { phase: "reporting", updateBytes: 7 }), "round:progress"),
  ];
  const open = events.reduce(applyEvent, taskOf());
  expect(open.currentRound).toMatchObject({ phase: "reporting", updateBytes: 7 });
  const ended = applyEvent(open, roundEvent(committedOf(1, { evaluation })));
  expect(ended).toMatchObject({ roundsCommitted: 1, roundsAbandoned: 0, evaluation });
  expect(ended).not.toHaveProperty("currentRound");
  const next = applyEvent(ended, roundEvent(roundOf(2, { phase: "abandoned" })));
  expect(next).toMatchObject({ roundsCommitted: 1, roundsAbandoned: 1 });
});

test("[DB4] events that were overtaken, or come again, change nothing", () => {
  const task = taskOf({
    roundsCommitted: 4,
    roundsAbandoned: 1,
    currentRound: roundOf(6, { phase: "aggregating" }),
    checkpoint: checkpointOf(4),
  });
  for (const round of [
    committedOf(5),
    roundOf(5),
    roundOf(6),
    roundOf(6, { phase: "reporting" }),
    roundOf(3, { phase: "abandoned" }),
  ]) {
    expect(applyEvent(task, roundEvent(round))).toBe(task);
  }
  const published = {
    ...roundEvent(roundOf(4)),
    type: "model:published",
    data: {
      ...checkpointOf(4),
      taskId: "digits" as TaskId,
      createdAt: "",
      layoutDigest: "" as Digest,
    },
  } as const;
  expect(applyEvent(task, published)).toBe(task);
  const newer = { ...published, data: { ...published.data, modelVersion: 5 } };
  expect(applyEvent(task, newer).checkpoint.modelVersion).toBe(5);
  const once = applyEvent(task, roundEvent(committedOf(6)));
  expect(applyEvent(once, roundEvent(committedOf(6)))).toBe(once);
});

test("[DB4] a rest between rounds ends with the next round, a pause or the end", () => {
  const rests = taskOf();
  const schedule = { ...rests.spec.schedule, pauseBetweenRoundsMs: 5000 };
  const task = taskOf({ spec: { ...rests.spec, schedule } });
  const resting = applyEvent(task, roundEvent(committedOf(1)));
  expect(resting.nextRoundAt).toBe("2026-01-02T03:01:35.000Z");
  expect(applyEvent(resting, roundEvent(roundOf(2)))).not.toHaveProperty("nextRoundAt");
  const ended = applyEvent(resting, stateEvent({ state: "ended", reason: "targetReached" }));
  expect(ended).toMatchObject({ state: "ended", endReason: "targetReached" });
  expect(ended).not.toHaveProperty("nextRoundAt");
  // A task that has ended stays so.
  expect(applyEvent(ended, stateEvent({ state: "running" }))).toBe(ended);
});

test("[DB4] a gap in the numbers of rounds is noticed", () => {
  const task = taskOf({ roundsCommitted: 2 });
  expect(missedRounds(task, roundEvent(committedOf(3)))).toBe(false);
  expect(missedRounds(task, roundEvent(roundOf(4)))).toBe(true);
});
