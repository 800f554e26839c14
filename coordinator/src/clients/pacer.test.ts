import type { ClientId, RoundId, TaskId } from "@tributary/protocol";
import { expect, test } from "vitest";

import { createSeededUniform } from "../round/sampler.ts";
import { createPacer } from "./pacer.ts";

const TASK = "task" as TaskId;
const HOLD_S = 10;
const SELECTION_S = 60;
const TRAINING_S = 5;

interface World {
  readonly hours: number;
  /** Clients that keep to what they are told, and begin within the first minute. */
  readonly honest: number;
  readonly minClients: number;
  /** Clients on sockets, which wait whenever no round is open. */
  readonly onSockets?: number;
  /** Made-up clients that come in this second and wait for nothing. */
  readonly madeUp?: (second: number) => number;
  /** From which these come. */
  readonly addresses?: number;
}

/** What becomes of a task's rounds when seconds pass, by the real pacer. */
function live({ hours, honest, minClients, onSockets = 0, madeUp, addresses = 30_000 }: World) {
  const uniform = createSeededUniform(17);
  const word = () =>
    Math.floor(uniform.next() * 2 ** 32)
      .toString(16)
      .padStart(8, "0");
  const newClient = () => [word(), word(), word(), word()].join("") as ClientId;
  let now = 0;
  /** Second since which the open round has looked for clients. */
  let selectingSince: number | undefined;
  let roundEndsAt: number | undefined;
  let restUntil = 0;
  let abandonedInARow = 0;
  const spec = {
    ...{ sampler: { kind: "all" }, privacy: { mechanism: "none" } },
    schedule: { minClients },
  };
  const engine = {
    pace: () => ({
      task: { spec, state: "running" },
      restMs: 1000 * Math.max(0, restUntil - now),
      selectingMs: selectingSince === undefined ? 0 : 1000 * (now - selectingSince),
    }),
  };
  const pacer = createPacer(
    {
      clock: { now: () => 1000 * now },
      engineOf: () => engine as never,
      uniform,
    },
    {
      heldCheckIns: 5000,
      checkInsPerSecond: 5000,
      checkInHoldMs: 1000 * HOLD_S,
      connectionsPerAddress: 5000,
    },
  );

  const ids = Array.from({ length: honest }, newClient);
  const total = hours * 3600;
  const due: number[][] = Array.from({ length: total }, () => []);
  for (let i = 0; i < honest; i++) due[Math.floor(uniform.next() * 60)]!.push(i);
  /** Second in which each held client's patience ends. */
  const held = new Map<number, number>();
  const ended: { readonly at: number; readonly outcome: "committed" | "abandoned" }[] = [];
  const told: { readonly at: number; readonly forS: number }[] = [];
  const arrivals = new Int32Array(total);
  let number = 1;

  const send = (i: number) => {
    const forS = pacer.returnOf(TASK) / 1000;
    told.push({ at: now, forS });
    due[now + Math.max(1, Math.round(forS))]?.push(i);
  };
  const close = (outcome: "committed" | "abandoned") => {
    const roundId = `task.${number}` as RoundId;
    number += 1;
    const closed = { taskId: TASK, roundId };
    if (outcome === "committed") pacer.roundClosed({ ...closed, outcome, modelVersion: number });
    else pacer.roundClosed({ ...closed, outcome, reason: "tooFewClients" });
    ended.push({ at: now, outcome });
    roundEndsAt = undefined;
    selectingSince = undefined;
    abandonedInARow = outcome === "committed" ? 0 : abandonedInARow + 1;
    restUntil = outcome === "committed" ? now : now + 2 ** Math.min(5, abandonedInARow);
  };

  for (; now < total; now++) {
    if (roundEndsAt === now) close("committed");
    for (let i = madeUp?.(now) ?? 0; i > 0; i--) {
      pacer.came(newClient(), `192.0.2.${i % addresses}`, TASK);
      if (roundEndsAt === undefined && now >= restUntil) selectingSince ??= now;
    }
    for (const i of due[now]!) {
      pacer.came(ids[i]!, ids[i]!, TASK);
      arrivals[now]! += 1;
      held.set(i, now + HOLD_S);
    }
    for (const [i, until] of held) {
      if (until > now) continue;
      held.delete(i);
      send(i);
    }
    const waiting = held.size + onSockets;
    if (roundEndsAt !== undefined || now < restUntil || waiting === 0) continue;
    selectingSince ??= now;
    if (waiting >= minClients) {
      pacer.roundBegan(TASK, `task.${number}` as RoundId, held.size);
      for (const i of held.keys()) send(i);
      held.clear();
      roundEndsAt = now + TRAINING_S;
      selectingSince = undefined;
    } else if (now - selectingSince >= SELECTION_S) {
      close("abandoned");
    }
  }
  return { ended, told, arrivals };
}

const sum = (counts: Iterable<number>) => [...counts].reduce((a, b) => a + b, 0);
const committed = ({ ended }: ReturnType<typeof live>) =>
  ended.filter(({ outcome }) => outcome === "committed").length;
const longest = ({ told }: ReturnType<typeof live>) =>
  told.reduce((most, { forS }) => Math.max(most, forS), 0);

const SMALL = { hours: 2, honest: 20, minClients: 10 };
const KEYS = 30_000;

test.each([
  // As many requests a second as one address may make.
  { from: "one address", addresses: 1, madeUp: (s: number) => (s % 1800 < KEYS / 2000 ? 2000 : 0) },
  {
    from: "30 000 addresses at once",
    addresses: KEYS,
    madeUp: (s: number) => (s % 1800 === 300 ? KEYS : 0),
  },
  { from: "a few addresses, all the time", addresses: 3, madeUp: () => KEYS / 1800 },
])(
  "[MC26] 30 000 made-up clients every half hour, from $from: honest ones are back in minutes, and rounds go on",
  ({ addresses, madeUp }) => {
    const quiet = live(SMALL);
    const attacked = live({ ...SMALL, addresses, madeUp });
    expect(longest(quiet)).toBeLessThan(60);
    expect(longest(attacked)).toBeLessThan(600);
    expect(committed(attacked)).toBeGreaterThan(committed(quiet) / 2);
  },
);

test("[MC26] clients on sockets that keep the rounds going do not make made-up ones believed", () => {
  const madeUp = (s: number) => (s % 1800 === 300 ? KEYS : 0);
  const attacked = live({ ...SMALL, onSockets: 10, madeUp });
  expect(longest(attacked)).toBeLessThan(600);
});

test("[MC22] more clients are told longer times, once rounds have shown that they come", () => {
  const meanTold = (honest: number) => {
    const { told } = live({ hours: 1, honest, minClients: 4 });
    const late = told.filter(({ at }) => at > 1800).map(({ forS }) => forS);
    return sum(late) / late.length;
  };
  expect(meanTold(1000)).toBeGreaterThan(5 * meanTold(100));
});

test("[MC27] a crowd is believed by the rounds that come about with it: soon as many arrive as are wanted", () => {
  const honest = 20_000;
  const world = live({ hours: 3, honest, minClients: 50 });
  const wanted = 75 / HOLD_S;
  const hour = (h: number) => sum(world.arrivals.subarray(3600 * h, 3600 * (h + 1))) / 3600;
  expect(hour(1) / wanted).toBeCloseTo(1, 0);
  expect(hour(2) / wanted).toBeGreaterThan(0.8);
  expect(hour(2) / wanted).toBeLessThan(1.2);
  // All in the first minute come at once; never again so many as the coordinator allows.
  const allowed = 2500;
  expect(Math.max(...world.arrivals.subarray(120))).toBeLessThan(allowed);
  expect(world.ended.filter(({ outcome }) => outcome === "abandoned")).toHaveLength(0);
});
