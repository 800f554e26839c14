import { expect, test } from "vitest";

import { onceInAWhile } from "./once-in-a-while.ts";

test("[LIM11] all who ask within a while get one answer, failures included", async () => {
  let now = 0;
  let asked = 0;
  let healthy = true;
  const ask = onceInAWhile({ monotonicMs: () => now }, 1000, async () => {
    asked += 1;
    if (!healthy) throw new Error("the disk is full");
    return asked;
  });
  expect(await Promise.all(Array.from({ length: 50 }, ask))).toEqual(Array(50).fill(1));
  healthy = false;
  now += 999;
  expect(await ask()).toBe(1);
  now += 1;
  await expect(ask()).rejects.toThrow("full");
  healthy = true;
  await expect(ask()).rejects.toThrow("full");
  expect(asked).toBe(2);
  now += 1000;
  expect(await ask()).toBe(3);
});
