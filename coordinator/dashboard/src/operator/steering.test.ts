import type { RoundResource, TaskResource } from "@tributary/protocol";
import { expect, test } from "vitest";

import { actionsFor, lossesOf } from "./steering.ts";

const task = (mechanism = "none") =>
  ({
    spec: { privacy: { mechanism } },
    roundsCommitted: 12,
    checkpoint: { modelVersion: 12 },
  }) as unknown as TaskResource;
const round = (phase: string, pending: number | undefined) =>
  ({
    roundNumber: 15,
    phase,
    ...(pending === undefined ? {} : { participants: { pending } }),
  }) as unknown as RoundResource;

test("[DB61] a task is offered what can be done to it", () => {
  expect(actionsFor({ state: "running" })).toEqual(["pause", "cancel"]);
  expect(actionsFor({ state: "paused" })).toEqual(["resume", "cancel"]);
  expect(actionsFor({ state: "ended" })).toEqual([]);
});

test("[DB61] what cancelling takes away and leaves is said with its numbers", () => {
  const said = lossesOf(task(), round("reporting", 3)).join(" ");
  expect(said).toContain("Round 15, which is open, is abandoned");
  expect(said).toContain("the work of 3 clients in it is lost");
  expect(said).toContain("version 12 after 12 committed rounds");
  expect(said).not.toContain("budget");
  expect(lossesOf(task(), round("committed", 0)).join(" ")).not.toContain("Round 15");
  expect(lossesOf(task(), undefined)[0]).toContain("for ever");
  // What is withheld is not guessed at.
  expect(lossesOf(task("central"), round("selecting", undefined))[0]).toBe(
    "Round 15, which is open, is abandoned.",
  );
  expect(lossesOf(task("central"), undefined).join(" ")).toContain("stays spent");
});
