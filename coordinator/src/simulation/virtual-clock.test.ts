import fc from "fast-check";
import { expect, test } from "vitest";

import { createDueQueue } from "./due-queue.ts";
import { createVirtualClock } from "./virtual-clock.ts";

test("[SI3] what is due comes in order of time, then as it was asked for, whatever is called off", () => {
  const events = fc.array(fc.record({ ms: fc.nat(20), off: fc.boolean() }), { maxLength: 3000 });
  fc.assert(
    fc.property(events, (given) => {
      const queue = createDueQueue<number>();
      const due = given.map(({ ms }, i) => queue.add(ms, i));
      given.forEach(({ off }, i) => {
        if (off) due[i]?.callOff();
      });
      const taken: number[] = [];
      for (let next = queue.take(); next !== undefined; next = queue.take()) taken.push(next.item);
      const expected = given
        .map(({ ms, off }, i) => ({ ms, off, i }))
        .filter(({ off }) => !off)
        .sort((a, b) => a.ms - b.ms || a.i - b.i)
        .map(({ i }) => i);
      expect(taken).toEqual(expected);
    }),
    { numRuns: 50 },
  );
});

test("[SI9] deadlines that were set anew again and again leave nothing behind", () => {
  const queue = createDueQueue<number>();
  for (let i = 0; i < 100_000; i++) queue.add(100_000 + i, i).callOff();
  expect(queue.size).toBeLessThan(4096);
});

test("[SI3] time stands still while something happens, and goes on to what is next", async () => {
  const clock = createVirtualClock(1000);
  const seen: [number, number][] = [];
  const note = () => void seen.push([clock.monotonicMs(), clock.now()]);
  clock.after(50, note);
  clock.after(10, async () => {
    await Promise.resolve();
    note();
    clock.after(5, note);
  });
  clock.after(20, note).cancel();
  for (let step = clock.step(40); step !== undefined; step = clock.step(40)) await step;
  expect(seen).toEqual([
    [10, 1010],
    [15, 1015],
  ]);
  expect(clock.isEmpty()).toBe(false);
  await clock.step(Infinity);
  expect(seen.at(-1)).toEqual([50, 1050]);
  expect(clock.isEmpty()).toBe(true);
});
