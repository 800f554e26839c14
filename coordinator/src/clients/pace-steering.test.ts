import type { ClientId } from "@tributary/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";

import { createSeededUniform } from "../round/sampler.ts";
import { createKeyedHash } from "./keyed-hash.ts";
import type { PaceSituation } from "./pace-steering.ts";
import { comeBackInMs, meanAwayMs } from "./pace-steering.ts";
import { createPopulation } from "./population.ts";

const MILLION = 1_000_000;
const HOUR_S = 3_600;
const HOLD_MS = 10_000;

const situation = (of: Partial<PaceSituation>): PaceSituation => ({
  population: MILLION,
  seen: of.population ?? MILLION,
  wanted: 500,
  holdMs: HOLD_MS,
  restMs: 0,
  maxPerSecond: 2500,
  now: 0,
  ...of,
});

/** Arrivals of each minute, from those of each second. */
const perMinute = (arrivals: Int32Array): number[] =>
  Array.from({ length: Math.floor(arrivals.length / 60) }, (_, minute) =>
    arrivals.subarray(60 * minute, 60 * minute + 60).reduce((a, b) => a + b, 0),
  );

/**
 * Lets clients come in seconds, each when it was told; clients of one second are alike, so that they are numbers.
 * @param first arrivals of each second that nobody was told of
 * @param isDown where the coordinator cannot be reached; who comes then comes again as `first` has it
 */
function simulate(
  hours: number,
  first: (second: number) => number,
  pace: PaceSituation,
  isDown: (second: number) => boolean = () => false,
): Int32Array {
  const uniform = createSeededUniform(7);
  const arrivals = new Int32Array(hours * HOUR_S);
  for (let second = 0; second < arrivals.length; second++) {
    arrivals[second] = (arrivals[second] ?? 0) + first(second);
    if (isDown(second)) continue;
    for (let i = arrivals[second] ?? 0; i > 0; i--) {
      const afterMs = HOLD_MS + comeBackInMs({ ...pace, now: second * 1000 }, uniform.next());
      const then = second + Math.round(afterMs / 1000);
      if (then < arrivals.length) arrivals[then] = (arrivals[then] ?? 0) + 1;
    }
  }
  return arrivals;
}

/** The largest deviation from the mean of minutes, as a share of it. */
function unevenness(minutes: readonly number[]): number {
  const mean = minutes.reduce((a, b) => a + b, 0) / minutes.length;
  return Math.max(...minutes.map((count) => Math.abs(count - mean))) / mean;
}

test("[MC20] a million clients that begin together arrive evenly from then on, as many as are wanted", () => {
  const pace = situation({});
  const arrivals = simulate(8, (second) => (second < 60 ? Math.round(MILLION / 60) : 0), pace);
  // The first minute is theirs; a little after it the first are back.
  const later = perMinute(arrivals).slice(2);
  const expected = (60_000 * MILLION) / (HOLD_MS + meanAwayMs(pace)!);
  expect(later.reduce((a, b) => a + b, 0) / later.length / expected).toBeCloseTo(1, 1);
  expect(unevenness(later)).toBeLessThan(0.1);
});

test("[MC20] after an outage, whoever missed its time may come at once: there is no second wave", () => {
  const pace = situation({});
  const down = (second: number) => second >= 2 * HOUR_S && second < 3 * HOUR_S;
  let missed = 0;
  const count = (arrived: Int32Array) => arrived.subarray(2 * HOUR_S, 3 * HOUR_S);
  const evenly = (second: number) => (second < 60 ? Math.round(MILLION / 60) : 0);
  // Once to know how many they are, and again with them.
  missed = count(simulate(3, evenly, pace, down)).reduce((a, b) => a + b, 0);
  expect(missed).toBeGreaterThan(100_000);
  const back = (second: number) =>
    second >= 3 * HOUR_S && second < 3 * HOUR_S + 60 ? Math.round(missed / 60) : evenly(second);
  const arrivals = perMinute(simulate(8, back, pace, down));
  expect(arrivals[180]).toBeGreaterThan(missed);
  expect(unevenness(arrivals.slice(182))).toBeLessThan(0.1);
});

test("[MC20] after a rest of all rounds clients come evenly too, and none before its end", () => {
  const uniform = createSeededUniform(3);
  const restMs = 600_000;
  const minutes = new Array<number>(60).fill(0);
  let early = 0;
  for (let i = 0; i < MILLION; i++) {
    const afterMs = comeBackInMs(situation({ restMs, wanted: 5_000 }), uniform.next());
    early += afterMs < restMs ? 1 : 0;
    const minute = Math.floor((afterMs - restMs) / 60_000);
    if (minute < minutes.length) minutes[minute]! += 1;
  }
  expect(early).toBe(0);
  // Exponential: all that makes one minute different from the next is who has come already.
  const mean = meanAwayMs(situation({ wanted: 5_000 }))!;
  for (const [minute, count] of minutes.slice(0, 20).entries()) {
    const expected = MILLION * (60_000 / mean) * Math.exp(-(60_000 * (minute + 0.5)) / mean);
    expect(Math.abs(count - expected) / expected).toBeLessThan(0.05);
  }
});

test("[MC21] day and night five times as many clients are there, and arrivals stay within half of what is wanted", () => {
  const clients = 20_000;
  const uniform = createSeededUniform(11);
  const population = createPopulation({ hash: createKeyedHash([1, 2]), perAddress: 5000 });
  const wanted = 100;
  const day = 24 * HOUR_S;
  const ids = Array.from({ length: clients }, () => {
    const word = () =>
      Math.floor(uniform.next() * 2 ** 32)
        .toString(16)
        .padStart(8, "0");
    return [word(), word(), word(), word()].join("") as ClientId;
  });
  /** The share of clients that is awake; each is awake while this is above a number of its own. */
  const awake = (second: number) => 0.6 - 0.4 * Math.cos((2 * Math.PI * second) / day);
  /** The next second at which a client of this number is awake. */
  const wakes = (own: number, second: number) => {
    if (own < awake(second)) return second;
    const phase = Math.acos(Math.min(1, Math.max(-1, (0.6 - own) / 0.4))) / (2 * Math.PI);
    return Math.ceil(
      Math.floor(second / day) * day + phase * day + (second % day > day / 2 ? day : 0),
    );
  };
  const total = 2 * day;
  const due: number[][] = Array.from({ length: total }, () => []);
  const owns = ids.map(() => uniform.next());
  for (let i = 0; i < clients; i++)
    due[wakes(owns[i]!, Math.floor(uniform.next() * HOUR_S))]?.push(i);
  const arrivals = new Int32Array(total);
  for (let second = 0; second < total; second++) {
    const now = second * 1000;
    arrivals[second] = due[second]!.length;
    const estimate = population.estimate();
    const pace = situation({ population: estimate, wanted, now });
    const memoryMs = Math.max(600_000, 2 * (meanAwayMs(pace) ?? 0));
    for (const i of due[second]!) {
      population.saw(ids[i]!, `address ${i}`, now, memoryMs);
      const back = second + Math.round((HOLD_MS + comeBackInMs(pace, uniform.next())) / 1000);
      due[wakes(owns[i]!, back)]?.push(i);
    }
    due[second] = [];
  }
  const hours = Array.from({ length: 24 }, (_, hour) =>
    arrivals
      .subarray(day + hour * HOUR_S, day + (hour + 1) * HOUR_S)
      .reduce((sum, count) => sum + count / HOUR_S, 0),
  );
  const perSecond = (1000 * wanted) / HOLD_MS;
  for (const rate of hours) {
    expect(rate / perSecond).toBeGreaterThan(0.5);
    expect(rate / perSecond).toBeLessThan(1.5);
  }
});

test("[MC22] few clients meet: whenever they ask, all of them wait at one time", () => {
  const uniform = createSeededUniform(5);
  const few = situation({ population: 30, wanted: 20 });
  for (let run = 0; run < 100; run++) {
    // All ask within one hold.
    const from = Math.floor(uniform.next() * 1e12);
    const cycle = 4 * HOLD_MS;
    const start = Math.ceil(from / cycle) * cycle;
    const arrivals = Array.from({ length: 30 }, () => {
      const now = start + Math.floor(uniform.next() * (cycle - 1));
      return now + comeBackInMs({ ...few, now }, uniform.next());
    });
    const last = Math.max(...arrivals);
    expect(arrivals.filter((arrival) => arrival + HOLD_MS > last)).toHaveLength(30);
  }
});

test("[MC22] of a crowd so many are held at any time as are wanted", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1000 }),
      fc.integer({ min: 5, max: 300 }),
      (wanted, times) => {
        const population = wanted * times;
        const pace = situation({ population, wanted, maxPerSecond: 1e9 });
        const mean = meanAwayMs(pace)!;
        expect((population * HOLD_MS) / (HOLD_MS + mean)).toBeCloseTo(wanted, 6);
      },
    ),
  );
});

test("[MC23] whatever the situation, a return is a whole number of milliseconds, after the rest and within a day of it", () => {
  fc.assert(
    fc.property(
      fc.record({
        population: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 1e10, noNaN: true })),
        seen: fc.double({ min: 0, max: 1e10, noNaN: true }),
        wanted: fc.integer({ min: 1, max: 1e6 }),
        holdMs: fc.integer({ min: 500, max: 60_000 }),
        restMs: fc.integer({ min: 0, max: 1e9 }),
        maxPerSecond: fc.double({ min: 0.5, max: 1e6, noNaN: true }),
        now: fc.integer({ min: 0, max: 2e12 }),
      }),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (pace, uniform) => {
        const back = comeBackInMs(pace, uniform);
        expect(Number.isSafeInteger(back)).toBe(true);
        expect(back).toBeGreaterThanOrEqual(pace.restMs);
        expect(back - pace.restMs).toBeLessThanOrEqual(24 * 3_600_000);
      },
    ),
    { numRuns: 1000 },
  );
});

test("[MC23] there are never more arrivals than are allowed, however many are wanted", () => {
  const pace = situation({ wanted: 200_000, maxPerSecond: 100 });
  expect((1000 * MILLION) / meanAwayMs(pace)!).toBeLessThanOrEqual(100);
});
