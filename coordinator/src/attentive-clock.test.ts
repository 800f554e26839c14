import { expect, test } from "vitest";

import { createAttentiveClock } from "./attentive-clock.ts";
import type { Clock, Timer } from "./ports.ts";

/** Time and timers that the test moves: `pass` lets timers fire in time, `freeze` lets none. */
function handClock() {
  let now = 0;
  const timers = new Set<{ at: number; run: () => void }>();
  const fireDue = () => {
    for (;;) {
      const [next] = [...timers].filter(({ at }) => at <= now).sort((a, b) => a.at - b.at);
      if (next === undefined) return;
      timers.delete(next);
      next.run();
    }
  };
  const clock: Clock = {
    now: () => 1_000_000 + now,
    monotonicMs: () => now,
    after: (delayMs, run): Timer => {
      const timer = { at: now + delayMs, run };
      timers.add(timer);
      return { cancel: () => void timers.delete(timer) };
    },
  };
  return {
    clock,
    timers,
    fireDue,
    freeze: (ms: number) => (now += ms),
    pass: (ms: number) => {
      for (const end = now + ms; now < end;) {
        now = Math.min(end, now + 10);
        fireDue();
      }
    },
  };
}

test("[CH21] time in which the process did not run is not counted, whoever looks first", () => {
  const hand = handClock();
  const absences: number[] = [];
  const clock = createAttentiveClock(hand.clock, (ms) => void absences.push(ms));
  hand.pass(10_000);
  expect(clock.monotonicMs()).toBe(10_000);
  hand.freeze(60_000);
  // No timer has fired yet: a message that waited in the socket is handled before any of them.
  expect(clock.monotonicMs()).toBe(10_250);
  hand.fireDue();
  hand.pass(1_000);
  expect(clock.monotonicMs()).toBe(11_250);
  expect(absences).toEqual([60_000]);
});

test("[CH21] a timer waits for the time that was not counted", () => {
  const hand = handClock();
  const clock = createAttentiveClock(hand.clock);
  const fired: number[] = [];
  clock.after(5_000, () => fired.push(clock.monotonicMs()));
  const cancelled = clock.after(5_000, () => fired.push(-1));
  hand.pass(2_000);
  hand.freeze(30_000);
  hand.fireDue();
  expect(fired).toEqual([]);
  cancelled.cancel();
  hand.pass(4_000);
  expect(fired).toEqual([5_000]);
});

test("[CH21] a busy moment counts, time never goes back, and a stopped clock leaves no timer", () => {
  const hand = handClock();
  const clock = createAttentiveClock(hand.clock);
  hand.freeze(900);
  expect(clock.monotonicMs()).toBe(900);
  let last = 0;
  for (const gap of [0, 1, 999, 1_000, 1_001, 1_251, 90_000, 3]) {
    hand.freeze(gap);
    const now = clock.monotonicMs();
    expect(now).toBeGreaterThanOrEqual(last);
    last = now;
  }
  clock.stop();
  expect(hand.timers.size).toBe(0);
  hand.freeze(5_000);
  expect(clock.monotonicMs() - last).toBe(5_000);
});
