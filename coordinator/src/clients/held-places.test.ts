import { expect, test } from "vitest";

import { createHeldPlaces } from "./held-places.ts";

const CROWD = "192.0.2.1";
const nothing = () => undefined;

function fill(most: number) {
  const gaveWay: number[] = [];
  const places = createHeldPlaces(most);
  const leaves = Array.from({ length: most }, (_, i) =>
    places.take(CROWD, () => void gaveWay.push(i)),
  );
  expect(leaves).not.toContain(undefined);
  return { ...{ places, gaveWay }, leaves: leaves as (() => void)[] };
}

test("[MC13] one address may have all places, and gives way down to half of them, the oldest first", () => {
  const { places, gaveWay } = fill(10);
  expect(places.take(CROWD, nothing)).toBeUndefined();
  const taken = Array.from({ length: 7 }, (_, i) => places.take(`198.51.100.${i}`, nothing));
  expect(taken.filter((leave) => leave !== undefined)).toHaveLength(5);
  expect(gaveWay).toEqual([0, 1, 2, 3, 4]);
  // Nobody has more than half now, and nobody is sent away for another.
  expect(places.take("203.0.113.1", nothing)).toBeUndefined();
});

test("[MC13] another address gets no more than half of them that way", () => {
  const { places, gaveWay } = fill(10);
  const taken = Array.from({ length: 10 }, () => places.take("198.51.100.1", nothing));
  expect(taken.filter((leave) => leave !== undefined)).toHaveLength(5);
  expect(gaveWay).toHaveLength(5);
});

test("[MC13] a place is free once, whether it was given back or given up", () => {
  const { places, leaves, gaveWay } = fill(4);
  expect(places.take("198.51.100.1", nothing)).toBeDefined();
  expect(gaveWay).toEqual([0]);
  // The one that gave way leaves in its own time.
  leaves[0]!();
  leaves[0]!();
  expect(places.take(CROWD, nothing)).toBeUndefined();
  leaves[1]!();
  leaves[1]!();
  expect(places.take(CROWD, nothing)).toBeDefined();
  expect(places.take(CROWD, nothing)).toBeUndefined();
});

test("[MC13] a single place stays with whoever has it", () => {
  const { places, gaveWay } = fill(1);
  expect(places.take("198.51.100.1", nothing)).toBeUndefined();
  expect(gaveWay).toEqual([]);
});
