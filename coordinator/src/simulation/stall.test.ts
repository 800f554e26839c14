import type { AbandonReason } from "@tributary/protocol";
import { expect, test } from "vitest";

import type { SimulatedRound, SimulationEnd } from "./report.ts";
import { stallOf } from "./stall.ts";

const schedule = {
  ...{ minClients: 10, minReports: 5, selectionDeadlineMs: 60_000, reportWindowMs: 1000 },
  ...{ aggregationDeadlineMs: 1000, pauseBetweenRoundsMs: 0 },
};
const round = (reason?: AbandonReason, reported = 0): SimulatedRound =>
  ({
    ...(reason === undefined ? { phase: "committed" } : { phase: "abandoned", reason }),
    participants: { selected: 8, reported },
  }) as SimulatedRound;
const stall = (end: SimulationEnd, rounds: readonly SimulatedRound[]) =>
  stallOf({ spec: { schedule }, clients: 7, end, rounds });

test("[SI11] what ends as it should is no stall, nor what time or an interruption has cut short", () => {
  const lost = round("tooFewReports");
  expect(stall({ kind: "taskEnded", reason: "maxRoundsReached" }, [round()])).toBeUndefined();
  expect(stall({ kind: "interrupted" }, [lost])).toBeUndefined();
  expect(stall({ kind: "timeIsUp" }, [round(), lost])).toBeUndefined();
  expect(stall({ kind: "nobodyLeft" }, [round()])).toBeUndefined();
  expect(stall({ kind: "timeIsUp" }, [lost])?.abandoned).toEqual({ tooFewReports: 1 });
  expect(stall({ kind: "nobodyLeft" }, [])?.message).toBe(
    "no round was committed: no client comes",
  );
});

test("[SI11] a stall names each reason with its settings, since the last round that was committed", () => {
  const rounds = [
    ...[round("aggregationFailed"), round()],
    ...[round("tooFewReports", 2), round("tooFewReports", 4), round("tooFewClients")],
  ];
  const told = stall({ kind: "stalled", abandonedInARow: 3 }, rounds);
  expect(told?.abandoned).toEqual({ tooFewReports: 2, tooFewClients: 1 });
  expect(told?.message).toContain("nothing was committed after round 2: 3 rounds in a row were");
  expect(told?.message).toContain("at best 4 of 8 places reported");
  expect(told?.message).toContain("schedule.minClients is 10");
  expect(told?.message).toContain("7 clients in all");
  expect(told?.message).not.toContain("warnings");
});
