import fc from "fast-check";
import { expect, test } from "vitest";

import { createServerClock } from "./server-clock.ts";

test("[DB6] the coordinator's time is known within the time an answer takes, though it names whole seconds", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: -1e9, max: 1e9 }),
      fc.array(fc.tuple(fc.integer({ min: 1, max: 400 }), fc.integer({ min: 0, max: 1000 })), {
        minLength: 60,
        maxLength: 60,
      }),
      (offsetMs, answers) => {
        const clock = createServerClock();
        let local = 1_700_000_000_000;
        let fastest = Infinity;
        for (const [tookMs, pauseMs] of answers) {
          const made = local + offsetMs + tookMs / 2;
          clock.observe(Math.floor(made / 1000) * 1000, local, local + tookMs);
          fastest = Math.min(fastest, tookMs);
          local += tookMs + pauseMs;
          // Never off by more than half a second and half the fastest answer.
          expect(Math.abs(clock.offsetMs - offsetMs)).toBeLessThanOrEqual(500 + fastest / 2 + 1);
        }
        expect(clock.toServer(local)).toBe(local + clock.offsetMs);
      },
    ),
  );
});

test("[DB6] a clock that is set anew is believed at once, and without any answer the local one holds", () => {
  const clock = createServerClock();
  expect(clock.toServer(5)).toBe(5);
  clock.observe(10_000, 9_500, 9_600);
  clock.observe(3_610_000, 10_500, 10_600);
  expect(clock.offsetMs).toBe((3_610_000 - 10_600 + 3_611_000 - 10_500) / 2);
});
