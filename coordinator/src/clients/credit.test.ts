import { expect, test } from "vitest";

import { createCredit } from "./credit.ts";

const SETTLE_MS = 1000;
const FEW = 60;

test("[MC26] of few all are believed; of more as many as rounds have shown, doubled with each that follows its time", () => {
  const credit = createCredit(SETTLE_MS);
  expect(credit.of(20, FEW)).toBe(20);
  expect(credit.of(30_000, FEW)).toBe(FEW);
  credit.proven(30_000, FEW, 0);
  expect(credit.of(30_000, FEW)).toBe(2 * FEW);
  // Of clients that were sent away before.
  credit.proven(30_000, FEW, SETTLE_MS - 1);
  expect(credit.of(30_000, FEW)).toBe(2 * FEW);
  credit.proven(30_000, FEW, SETTLE_MS);
  expect(credit.of(30_000, FEW)).toBe(4 * FEW);
});

test("[MC26] a round that finds too few takes most of it back, and the next step needs twice as many rounds", () => {
  const credit = createCredit(SETTLE_MS);
  let now = 0;
  const prove = () => credit.proven(30_000, FEW, (now += SETTLE_MS));
  for (let i = 0; i < 3; i++) prove();
  expect(credit.of(30_000, FEW)).toBe(8 * FEW);
  credit.refuted(30_000, FEW);
  expect(credit.of(30_000, FEW)).toBe(2 * FEW);
  prove();
  expect(credit.of(30_000, FEW)).toBe(2 * FEW);
  prove();
  expect(credit.of(30_000, FEW)).toBe(4 * FEW);
});

test("[MC26] what is believed follows those that come: many in the day are no credit for the night", () => {
  const credit = createCredit(SETTLE_MS);
  for (let i = 0; i < 10; i++) credit.proven(1000, FEW, i * SETTLE_MS);
  expect(credit.of(1000, FEW)).toBe(1000);
  credit.proven(100, FEW, 20 * SETTLE_MS);
  expect(credit.of(30_000, FEW)).toBe(200);
});
