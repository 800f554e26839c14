import fc from "fast-check";
import { expect, test } from "vitest";

import type { DailyPlaces } from "./quota.ts";
import { dayOf, quotaWaitMs, withPlace } from "./quota.ts";

const DAY_MS = 86_400_000;
const noon = 20_000 * DAY_MS + DAY_MS / 2;

test("[LIM12] a client has its places in each day of UTC, then waits until the next", () => {
  let latest: DailyPlaces | undefined;
  for (let i = 0; i < 3; i++) {
    expect(quotaWaitMs(latest, noon, 3)).toBe(0);
    latest = withPlace(latest, dayOf(noon));
  }
  expect(quotaWaitMs(latest, noon, 3)).toBe(DAY_MS / 2);
  expect(quotaWaitMs(latest, noon + DAY_MS / 2 - 1, 3)).toBe(1);
  expect(quotaWaitMs(latest, noon + DAY_MS / 2, 3)).toBe(0);
  expect(withPlace(latest, dayOf(noon + DAY_MS))).toEqual({ day: 20_001, places: 1 });
});

test("[LIM12] a clock that jumps back and forth gives no day's places twice", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 4 }),
      fc.array(fc.integer({ min: -3, max: 3 }), { maxLength: 60 }),
      (perDay, jumps) => {
        let now = noon;
        let latest: DailyPlaces | undefined;
        const given = new Map<number, number>();
        for (const halfDays of jumps) {
          now += (halfDays * DAY_MS) / 2;
          if (quotaWaitMs(latest, now, perDay) > 0) continue;
          const before = latest?.day ?? 0;
          latest = withPlace(latest, dayOf(now));
          // A day that was left does not come again, whatever the clock says.
          expect(latest.day).toBeGreaterThanOrEqual(before);
          given.set(latest.day, (given.get(latest.day) ?? 0) + 1);
        }
        for (const places of given.values()) expect(places).toBeLessThanOrEqual(perDay);
      },
    ),
  );
});
