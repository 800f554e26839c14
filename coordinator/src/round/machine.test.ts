import type { Checksum, ClientId } from "@tributary/protocol";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { transition } from "./machine.ts";
import { countStatus, statusOf } from "./participants.ts";
import type { RoundEffect, RoundEvent, RoundRules, RoundState } from "./state.ts";
import { deadlineOf, openRound, participantsOf, reopenRound } from "./state.ts";

const RULES: RoundRules = {
  minClients: 3,
  minReports: 2,
  lastCallMs: 50,
  selectionDeadlineMs: 100,
  reportWindowMs: 1_000,
  aggregationDeadlineMs: 500,
};
const client = (name: string) => name as ClientId;
const [a, b, c, d] = ["a", "b", "c", "d"].map(client) as [ClientId, ClientId, ClientId, ClientId];
const checksum = (name: string) => name as Checksum;

/** Plays events from a state; gives the last state and every effect in order. */
function play(start: RoundState, ...events: RoundEvent[]) {
  let state = start;
  const effects: RoundEffect[] = [];
  for (const event of events) {
    const step = transition(state, event);
    state = step.state;
    effects.push(...step.effects);
  }
  return { state, effects, types: effects.map((effect) => effect.type) };
}

const selected = (rules: RoundRules, ...cohort: ClientId[]) =>
  play(openRound(rules, 0), { type: "cohortSelected", at: 10, cohort }).state;
const reported = (clientId: ClientId, at = 20, bytes = `of ${clientId}`): RoundEvent => ({
  type: "reported",
  at,
  clientId,
  checksum: checksum(bytes),
});
const tick = (at: number, clientsWaiting = 0): RoundEvent => ({ type: "tick", at, clientsWaiting });

describe("selecting", () => {
  test("[RD1] selects as soon as enough clients wait, and not before", () => {
    const round = openRound(RULES, 0);
    expect(play(round, { type: "clientsWaiting", at: 1, count: 2 }).types).toEqual([]);
    expect(play(round, { type: "clientsWaiting", at: 1, count: 3 }).types).toEqual([
      "selectCohort",
    ]);
  });

  test("[RD1] takes fewer clients at the deadline, and abandons below minReports", () => {
    const round = openRound(RULES, 0);
    expect(play(round, tick(99, 2)).types).toEqual([]);
    expect(play(round, tick(100, 2)).types).toEqual(["selectCohort"]);
    expect(play(round, tick(100, 1)).state).toMatchObject({
      phase: "abandoned",
      reason: "tooFewClients",
    });
  });

  test("[RD1] a cohort too small to reach minReports abandons the round at once", () => {
    const { state } = play(openRound(RULES, 0), { type: "cohortSelected", at: 1, cohort: [a] });
    expect(state).toMatchObject({ phase: "abandoned", reason: "tooFewClients" });
  });
});

describe("a round under central noise", () => {
  const rules = { ...RULES, releasesAnyway: true, minWaiting: 3 };

  test("[DP26] is released however few are drawn, nobody included", () => {
    const empty = play(openRound(rules, 0), { type: "cohortSelected", at: 1, cohort: [] });
    expect(empty.types).toEqual(["assign", "closeReports", "aggregate"]);
    expect(empty.state).toMatchObject({ phase: "aggregating" });
    expect(selected(rules, a)).toMatchObject({ phase: "reporting" });
  });

  test("[DP26] is released however few report, nobody included", () => {
    const nobody = play(selected(rules, a, b), tick(10 + 1_000));
    expect(nobody.types).toEqual(["closeReports", "aggregate"]);
    const one = play(selected(rules, a, b), reported(a), tick(10 + 1_000));
    expect(one.types).toEqual(["accumulate", "closeReports", "aggregate"]);
  });

  test("[DP26] draws nobody where too few wait for minReports, or coins must not be thrown", () => {
    const tooFew = { phase: "abandoned", reason: "tooFewClients" };
    expect(play(openRound(rules, 0), tick(100, 2)).state).toMatchObject(tooFew);
    expect(play(openRound(rules, 0), tick(100, 3)).types).toEqual(["selectCohort"]);
    const refused = { type: "cohortSelected", at: 1, cohort: [], notDrawn: true } as const;
    expect(play(openRound(rules, 0), refused).state).toMatchObject(tooFew);
  });
});

describe("reporting", () => {
  test("[RD2] ends when all of the cohort has reported", () => {
    const { state, types } = play(selected(RULES, a, b), reported(a), reported(b));
    expect(state.phase).toBe("aggregating");
    expect(types).toEqual(["accumulate", "accumulate", "closeReports", "aggregate"]);
  });

  test("[RD2] ends at the goal, and the over-selected rest hears that it is too late", () => {
    const round = selected({ ...RULES, goal: 2 }, a, b, c, d);
    const { state, effects } = play(round, reported(a), reported(c));
    expect(state.phase).toBe("aggregating");
    expect(effects).toContainEqual({ type: "closeReports", clientIds: [b, d] });
  });

  test("[RD3] at the deadline it aggregates what it has, or abandons below minReports", () => {
    const round = selected(RULES, a, b, c);
    expect(play(round, reported(a), reported(b), tick(1_009)).state.phase).toBe("reporting");
    expect(play(round, reported(a), reported(b), tick(1_010)).state.phase).toBe("aggregating");
    expect(play(round, reported(a), tick(1_010)).state).toMatchObject({
      phase: "abandoned",
      reason: "tooFewReports",
    });
  });

  test("[RD3] a report after the deadline is refused even when the timer is late", () => {
    const { state, effects } = play(
      selected(RULES, a, b, c),
      reported(a),
      reported(b),
      reported(c, 1_010),
    );
    expect(state.phase).toBe("aggregating");
    expect(effects).toContainEqual({ type: "refuse", code: "ROUND_CLOSED" });
    expect(countStatus(participantsOf(state), "reported")).toBe(2);
  });

  test("[RD4] the same bytes again are acknowledged, other bytes are a conflict, neither counts", () => {
    const { state, effects } = play(
      selected(RULES, a, b, c),
      reported(a),
      reported(a),
      reported(a, 21, "others"),
    );
    expect(effects).toEqual([
      { type: "accumulate" },
      { type: "acknowledgeDuplicate" },
      { type: "refuse", code: "UPDATE_CONFLICT" },
    ]);
    expect(countStatus(participantsOf(state), "reported")).toBe(1);
  });

  test("[RD5] whoever is not in the cohort is refused", () => {
    expect(play(selected(RULES, a, b), reported(d)).effects).toEqual([
      { type: "refuse", code: "NOT_IN_COHORT" },
    ]);
  });

  test("[RD6] the round does not wait for those who declined, left, dropped out or were refused", () => {
    const { state, types } = play(
      selected(RULES, a, b, c, d),
      reported(a),
      reported(b),
      { type: "declined", at: 30, clientId: c },
      { type: "departed", at: 31, clientId: d, how: "disconnected" },
    );
    expect(state.phase).toBe("aggregating");
    expect(types.at(-1)).toBe("aggregate");
    const gone = play(
      selected(RULES, a, b, c),
      reported(a),
      { type: "departed", at: 30, clientId: b, how: "left" },
      { type: "declined", at: 31, clientId: c },
    );
    expect(gone.state).toMatchObject({ phase: "abandoned", reason: "tooFewReports" });
  });

  test("[RD6] before abandoning, a round gives dropped-out and refused participants until its deadline", () => {
    const waits = play(
      selected(RULES, a, b, c),
      reported(a),
      { type: "departed", at: 30, clientId: b, how: "disconnected" },
      { type: "rejected", at: 31, clientId: c, code: "UPDATE_NOT_FINITE" },
    );
    expect(waits.state.phase).toBe("reporting");
    expect(play(waits.state, reported(c)).state.phase).toBe("aggregating");
    expect(play(waits.state, tick(1_010)).state).toMatchObject({ reason: "tooFewReports" });
  });

  test("[RD6] a client that comes back in time is waited for again and may report", () => {
    const gone = { type: "departed", at: 30, clientId: b, how: "disconnected" } as const;
    const { state } = play(selected(RULES, a, b, c), gone, {
      type: "returned",
      at: 31,
      clientId: b,
    });
    expect(statusOf(participantsOf(state), b)).toEqual({ kind: "pending" });
    expect(play(selected(RULES, a, b, c), gone, reported(b)).effects).toEqual([
      { type: "accumulate" },
    ]);
  });

  test("[RD6] a refused update does not bar a good one", () => {
    const round = selected(RULES, a, b, c);
    const refusal = { type: "rejected", at: 20, clientId: a, code: "UPDATE_NOT_FINITE" } as const;
    expect(play(round, refusal, reported(a)).effects).toEqual([{ type: "accumulate" }]);
    // and a refusal never takes back what is counted
    expect(statusOf(participantsOf(play(round, reported(a), refusal).state), a)).toMatchObject({
      kind: "reported",
    });
  });
});

describe("aggregating and the end", () => {
  const aggregating = () => play(selected(RULES, a, b), reported(a), reported(b)).state;

  test("[RD7] a version that was made is committed, once", () => {
    const made = { type: "versionMade", at: 50, modelVersion: 4 } as const;
    const { state, effects } = play(aggregating(), made, made);
    expect(state).toMatchObject({ phase: "committed", modelVersion: 4 });
    expect(effects).toEqual([{ type: "commit", modelVersion: 4 }]);
  });

  test("[RD7] an aggregation over its deadline is stopped and its version dropped", () => {
    const { state, types } = play(aggregating(), tick(520), {
      type: "versionMade",
      at: 521,
      modelVersion: 4,
    });
    expect(state).toMatchObject({ phase: "abandoned", reason: "aggregationTimedOut" });
    expect(types).toEqual(["stopAggregation", "abandon"]);
  });

  test("[RD7] a failed aggregation abandons the round", () => {
    expect(play(aggregating(), { type: "aggregationFailed", at: 30 }).state).toMatchObject({
      phase: "abandoned",
      reason: "aggregationFailed",
    });
  });

  test("[RD4] a retry after reports closed is acknowledged if it was counted, else refused", () => {
    expect(play(aggregating(), reported(a)).types).toEqual(["acknowledgeDuplicate"]);
    expect(play(aggregating(), reported(a, 20, "others")).effects).toEqual([
      { type: "refuse", code: "UPDATE_CONFLICT" },
    ]);
    const late = play(
      selected({ ...RULES, goal: 2 }, a, b, c),
      reported(a),
      reported(b),
      reported(c),
    );
    expect(late.effects.at(-1)).toEqual({ type: "refuse", code: "ROUND_CLOSED" });
  });

  test("[RD8] cancelling abandons every open phase; pausing lets begun work finish", () => {
    const cancel = { type: "stopped", at: 30, reason: "cancelled" } as const;
    const pause = { type: "stopped", at: 30, reason: "paused" } as const;
    for (const state of [openRound(RULES, 0), selected(RULES, a, b), aggregating()]) {
      expect(play(state, cancel).state).toMatchObject({ phase: "abandoned", reason: "cancelled" });
    }
    expect(play(openRound(RULES, 0), pause).state).toMatchObject({ reason: "paused" });
    expect(play(selected(RULES, a, b), pause).state.phase).toBe("reporting");
    expect(play(aggregating(), pause).state.phase).toBe("aggregating");
  });
});

test("[RD9] a re-opened round waits for all of its cohort again, with a full window", () => {
  const round = reopenRound(RULES, [a, b], 5_000);
  expect(round.deadline).toBe(6_000);
  expect(countStatus(round.participants, "pending")).toBe(2);
});

// -------------------------------------------------------------------------- properties

const clients = fc.constantFrom(a, b, c, d);
const anyEvent = (at: number): fc.Arbitrary<RoundEvent> =>
  fc.oneof(
    fc.record({
      type: fc.constant("clientsWaiting" as const),
      at: fc.constant(at),
      count: fc.nat(5),
    }),
    fc.record({
      type: fc.constant("cohortSelected" as const),
      at: fc.constant(at),
      cohort: fc.uniqueArray(clients),
    }),
    fc.record({
      type: fc.constant("reported" as const),
      at: fc.constant(at),
      clientId: clients,
      checksum: fc.constantFrom(checksum("x"), checksum("y")),
    }),
    fc.record({
      type: fc.constant("rejected" as const),
      at: fc.constant(at),
      clientId: clients,
      code: fc.constant("UPDATE_NOT_FINITE" as const),
    }),
    fc.record({
      type: fc.constantFrom("uploadBegan" as const, "uploadEnded" as const),
      at: fc.constant(at),
      clientId: clients,
    }),
    fc.record({ type: fc.constant("declined" as const), at: fc.constant(at), clientId: clients }),
    fc.record({
      type: fc.constant("departed" as const),
      at: fc.constant(at),
      clientId: clients,
      how: fc.constantFrom("left" as const, "disconnected" as const),
    }),
    fc.record({ type: fc.constant("returned" as const), at: fc.constant(at), clientId: clients }),
    fc.record({
      type: fc.constant("tick" as const),
      at: fc.constant(at),
      clientsWaiting: fc.nat(5),
    }),
    fc.record({
      type: fc.constant("versionMade" as const),
      at: fc.constant(at),
      modelVersion: fc.nat(9),
    }),
    fc.record({ type: fc.constant("aggregationFailed" as const), at: fc.constant(at) }),
    fc.record({
      type: fc.constant("stopped" as const),
      at: fc.constant(at),
      reason: fc.constantFrom("cancelled" as const, "paused" as const),
    }),
  );
const history = fc
  .array(fc.nat(400), { maxLength: 40 })
  .map((gaps) => gaps.reduce<number[]>((times, gap) => [...times, (times.at(-1) ?? 0) + gap], []))
  .chain((times) => fc.tuple(...times.map(anyEvent)));

describe("work that is on its way when the goal is reached", () => {
  const goal = { ...RULES, goal: 2 };
  const upload = (how: "Began" | "Ended", clientId: ClientId, at = 15): RoundEvent => ({
    type: `upload${how}`,
    at,
    clientId,
  });
  const reached = (...uploading: ClientId[]) =>
    play(
      selected(goal, a, b, c, d),
      ...uploading.map((one) => upload("Began", one)),
      reported(a, 20),
      reported(b, 30),
    );

  test("[CH40] is waited for, counted, and then the round closes at once", () => {
    const waits = reached(c, a);
    // Who has sent nothing may stop training.
    expect(waits.effects.slice(2)).toEqual([{ type: "closeReports", clientIds: [d] }]);
    expect(waits.state).toMatchObject({ phase: "reporting", closesAt: 80 });
    const { state, types } = play(waits.state, reported(c, 40));
    expect(types).toEqual(["accumulate", "closeReports", "aggregate"]);
    expect(countStatus(participantsOf(state), "reported")).toBe(3);
    expect(play(waits.state, tick(80)).effects[0]).toEqual({
      type: "closeReports",
      clientIds: [c, d],
    });
    // Without anything on its way the goal closes the round, as it always did.
    expect(reached().types).toEqual(["accumulate", "accumulate", "closeReports", "aggregate"]);
  });

  test("[CH40] that breaks off, is refused or given up is waited for no longer", () => {
    const { state } = reached(c);
    for (const end of [
      upload("Ended", c, 40),
      { type: "rejected", at: 40, clientId: c, code: "UPDATE_NOT_FINITE" } as const,
      { type: "departed", at: 40, clientId: c, how: "left" } as const,
      { type: "declined", at: 40, clientId: c } as const,
    ]) {
      expect(play(state, end).types).toEqual(["closeReports", "aggregate"]);
    }
    // A socket that is lost says nothing about an upload on another connection.
    const lost = { type: "departed", at: 40, clientId: c, how: "disconnected" } as const;
    expect(play(state, lost, reported(c, 41)).types).toEqual([
      "accumulate",
      "closeReports",
      "aggregate",
    ]);
  });

  test("[CH41] holds a round up for a bounded time that no other upload moves, and never beyond its deadline", () => {
    const { state } = reached(c);
    const later = play(state, upload("Began", d, 60), tick(79));
    expect(later.state.phase).toBe("reporting");
    expect(deadlineOf(later.state)).toBe(80);
    expect(play(later.state, tick(80)).types).toEqual(["closeReports", "aggregate"]);
    expect(play(later.state, reported(d, 80)).types).toEqual([
      "refuse",
      "closeReports",
      "aggregate",
    ]);
    const late = play(
      selected(goal, a, b, c),
      upload("Began", c),
      reported(a, 20),
      reported(b, 1_005),
    );
    expect(late.state).toMatchObject({ closesAt: 1_010 });
  });

  test("[CH41] of strangers and of those who are counted is not waited for", () => {
    const stranger = play(selected(goal, a, b, c), upload("Began", d), reported(a), reported(b));
    expect(stranger.state.phase).toBe("aggregating");
    const again = play(selected(goal, a, b, c), reported(a), upload("Began", a), reported(b));
    expect(again.state.phase).toBe("aggregating");
  });
});

test("[RD10] whatever happens: phases only go forward, a client counts once, sums match statuses", () => {
  const order = ["selecting", "reporting", "aggregating", "committed", "abandoned"];
  fc.assert(
    fc.property(history, (events) => {
      let state: RoundState = openRound(RULES, 0);
      let accumulated = 0;
      let ends = 0;
      for (const event of events) {
        const frozen = structuredClone(state);
        const step = transition(state, event);
        expect(state).toEqual(frozen);
        expect(order.indexOf(step.state.phase)).toBeGreaterThanOrEqual(order.indexOf(state.phase));
        accumulated += step.effects.filter((effect) => effect.type === "accumulate").length;
        ends += step.effects.filter((effect) => ["commit", "abandon"].includes(effect.type)).length;
        state = step.state;
        expect(countStatus(participantsOf(state), "reported")).toBe(accumulated);
        if (state.phase === "aggregating")
          expect(accumulated).toBeGreaterThanOrEqual(RULES.minReports);
        expect(ends).toBe(state.phase === "committed" || state.phase === "abandoned" ? 1 : 0);
      }
    }),
    { numRuns: 500 },
  );
});

test("[RD11] no round waits for ever: a tick at its deadline ends every open phase", () => {
  fc.assert(
    fc.property(history, (events) => {
      let { state } = play(openRound(RULES, 0), ...events);
      for (let phases = 0; deadlineOf(state) !== undefined; phases++) {
        expect(phases).toBeLessThan(4);
        const before = state.phase;
        const step = transition(state, tick(deadlineOf(state)!, 5));
        state = step.state;
        // Selection is answered at once by the engine, here with nobody.
        if (step.effects.some((effect) => effect.type === "selectCohort")) {
          state = transition(state, { type: "cohortSelected", at: 0, cohort: [] }).state;
        }
        expect(state.phase).not.toBe(before);
      }
    }),
    { numRuns: 500 },
  );
});
