import fc from "fast-check";
import { expect, test } from "vitest";

import { createTokenBuckets } from "./token-buckets.ts";

test("[LIM1] a full bucket gives its burst at once, then tokens at the rate, and says how long they take", () => {
  const buckets = createTokenBuckets({ perSecond: 4, burst: 3, maxKeys: 10 });
  const take = (atMs: number) => buckets.take("a", atMs);
  expect([take(0), take(0), take(0)]).toEqual([0, 0, 0]);
  expect(take(0)).toBe(250);
  expect(buckets.waitMs("a", 100)).toBe(150);
  expect(take(249)).toBe(1);
  expect(take(250)).toBe(0);
  expect(take(250)).toBe(250);
  // Full again after a rest, and never fuller than that.
  expect([take(9000), take(9000), take(9000), take(9000)]).toEqual([0, 0, 0, 250]);
});

test("[LIM1] what a bucket promises holds: who waits as long as it says gets its token", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5000 }),
      fc.integer({ min: 1, max: 50 }),
      fc.array(fc.double({ min: 0, max: 500, noNaN: true }), { maxLength: 60 }),
      (perSecond, burst, pauses) => {
        const buckets = createTokenBuckets({ perSecond, burst, maxKeys: 1 });
        let now = 0;
        let taken = 0;
        for (const pause of pauses) {
          now += pause;
          const wait = buckets.take("a", now);
          expect(buckets.waitMs("a", now) >= 0).toBe(true);
          if (wait === 0) taken += 1;
          else {
            expect(wait).toBeLessThanOrEqual(1000 / perSecond + 1e-6);
            now += wait;
            expect(buckets.take("a", now)).toBe(0);
            taken += 1;
          }
          // Never more than the burst and what the rate has brought since.
          expect(taken).toBeLessThanOrEqual(burst + (now * perSecond) / 1000 + 1e-3);
        }
      },
    ),
    { numRuns: 200 },
  );
});

test("[LIM2] keys have buckets of their own, and 100 000 of them no more memory than was allowed", () => {
  const buckets = createTokenBuckets({ perSecond: 1, burst: 1, maxKeys: 1000 });
  expect(buckets.take("honest", 0)).toBe(0);
  expect(buckets.take("honest", 0)).toBe(1000);
  for (let i = 0; i < 100_000; i++) {
    const wait = buckets.take(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`, i / 1000);
    if (wait > 0 || buckets.size > 1000) throw new Error(`${wait} ms, ${buckets.size} buckets`);
  }
  expect(buckets.size).toBeGreaterThanOrEqual(500);
  // Those who were seen last are still held to their rate, and a stranger is served.
  expect(buckets.take("10.1.134.159", 100)).toBeGreaterThan(0);
  expect(buckets.take("honest", 100)).toBe(0);
});

test("[LIM2] a bucket is kept for what it gave: who is only refused does not push others out", () => {
  const buckets = createTokenBuckets({ perSecond: 1, burst: 1, maxKeys: 4 });
  buckets.take("flooder", 0);
  buckets.take("b", 0);
  buckets.take("c", 0);
  for (let i = 0; i < 10; i++) expect(buckets.take("flooder", 1)).toBeGreaterThan(0);
  expect(buckets.waitMs("nobody", 1)).toBe(0);
  expect(buckets.size).toBe(3);
  buckets.take("d", 0);
  buckets.take("e", 0);
  expect(buckets.waitMs("flooder", 1)).toBe(0);
  expect(buckets.waitMs("c", 1)).toBeGreaterThan(0);
});
