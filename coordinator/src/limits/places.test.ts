import { expect, test } from "vitest";

import { createPlaces } from "./places.ts";

test("[LIM4] each key has so many places, and one that is given back twice is one place", () => {
  const places = createPlaces(2);
  const first = places.take("a");
  const second = places.take("a");
  expect(places.take("a")).toBeUndefined();
  expect(places.take("b")).toBeDefined();
  first?.();
  first?.();
  expect(places.taken("a")).toBe(1);
  expect(places.take("a")).toBeDefined();
  expect(places.take("a")).toBeUndefined();
  second?.();
  expect(places.taken("a")).toBe(1);
});
