import { createHash } from "node:crypto";

import type { ClientId } from "@tributary/protocol";
import { expect, test } from "vitest";

import { createKeyedHash } from "./keyed-hash.ts";
import { createPopulation } from "./population.ts";

const idOf = (i: number) =>
  createHash("sha256").update(`client ${i}`).digest("hex").slice(0, 32) as ClientId;
const ownAddress = (i: number) => `2001:db8:${i >> 12}:${i & 0xfff}::/64`;
const newPopulation = () => createPopulation({ hash: createKeyedHash([7, 11]), perAddress: 5000 });

test.each([0, 1, 10, 1000, 20_000, 100_000])(
  "[MC24] %i clients are counted within 5 %, however often they come",
  (clients) => {
    const population = newPopulation();
    for (let i = 0; i < clients; i++) {
      const clientId = idOf(i);
      for (let again = 0; again < 2; again++) population.saw(clientId, ownAddress(i), 0, 1000);
    }
    expect(Math.abs(population.estimate() - clients)).toBeLessThanOrEqual(0.05 * clients);
  },
);

test("[MC24] a client that changes networks counts once", () => {
  const population = newPopulation();
  for (let i = 0; i < 20_000; i++) population.saw(idOf(i % 1000), ownAddress(i), 0, 1000);
  expect(Math.abs(population.estimate() - 1000)).toBeLessThanOrEqual(50);
});

test("[MC24] whoever does not come any more is forgotten after once to twice the time", () => {
  const population = newPopulation();
  const saw = (i: number, nowMs: number) => population.saw(idOf(i), ownAddress(i), nowMs, 1000);
  for (let i = 0; i < 1000; i++) saw(i, 0);
  for (let i = 0; i < 100; i++) saw(i, 999);
  expect(population.estimate()).toBeGreaterThan(900);
  saw(0, 1000);
  expect(population.estimate()).toBeGreaterThan(900);
  saw(0, 2000);
  expect(population.estimate()).toBeLessThan(2);
});

test.each([1, 3])(
  "[MC28] 100 000 made-up clients from %i addresses count for as many as may be connected from there",
  (addresses) => {
    const population = newPopulation();
    for (let i = 0; i < 100_000; i++) population.saw(idOf(i), ownAddress(i % addresses), 0, 1000);
    expect(population.estimate()).toBeLessThan(1.05 * 5000 * addresses);
  },
);

test("[MC28] client ids that are chosen for it, one for each register, count as what they are", () => {
  const population = newPopulation();
  for (let i = 0; i < 4096; i++) {
    // Whoever chose these knew the sketch: a register of its own for each, and the highest rank there.
    const id = `${i.toString(16).padStart(3, "0")}00000${"0".repeat(24)}` as ClientId;
    population.saw(id, ownAddress(i), 0, 1000);
  }
  expect(population.estimate()).toBeLessThan(1.05 * 4096);
});
