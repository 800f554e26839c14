import { expect, test } from "vitest";

import { createMersenneTwister } from "./mersenne-twister.ts";

test("[EX10] the generator gives the published sequence of MT19937, over a refill", () => {
  const twister = createMersenneTwister(5489);
  const draws = Array.from({ length: 10_000 }, () => twister.next());
  expect(draws[0]).toBe(3499211612);
  // The 10 000th draw is fixed by the C++ standard, [rand.predef].
  expect(draws[9999]).toBe(4123659995);
});

test("[EX10] a permutation holds every index once", () => {
  const order = createMersenneTwister(1).permutation(50);
  expect(order).not.toEqual([...order].sort((a, b) => a - b));
  expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, i) => i));
});
