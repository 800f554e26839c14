import { createHash } from "node:crypto";

import type { ClientId } from "@tributary/protocol";
import { expect, test } from "vitest";

import { createPopulation } from "./population.ts";

const idOf = (i: number) =>
  createHash("sha256").update(`client ${i}`).digest("hex").slice(0, 32) as ClientId;

test.each([0, 1, 10, 1000, 20_000, 100_000])(
  "[MC24] %i clients are counted within 5 %, however often they come",
  (clients) => {
    const population = createPopulation();
    for (let i = 0; i < clients; i++) {
      const clientId = idOf(i);
      for (let again = 0; again < 2; again++) population.saw(clientId, 0, 1000);
    }
    expect(Math.abs(population.estimate() - clients)).toBeLessThanOrEqual(0.05 * clients);
  },
);

test("[MC24] whoever does not come any more is forgotten after once to twice the time", () => {
  const population = createPopulation();
  for (let i = 0; i < 1000; i++) population.saw(idOf(i), 0, 1000);
  for (let i = 0; i < 100; i++) population.saw(idOf(i), 999, 1000);
  expect(population.estimate()).toBeGreaterThan(900);
  population.saw(idOf(0), 1000, 1000);
  expect(population.estimate()).toBeGreaterThan(900);
  population.saw(idOf(0), 2000, 1000);
  expect(population.estimate()).toBeLessThan(2);
});
