import type { AggregationSpec } from "@tributary/protocol";
import { expect, test } from "vitest";

import { claimWords, unprotectedWords } from "./privacy-words.ts";

test("[DB40] what sampling is relied on is said in words, and where nothing is gained that is said", () => {
  expect(claimWords({ kind: "poisson", samplingRate: 0.125 })).toMatch(/12\.50.%/);
  const truncated = {
    kind: "truncatedPoisson",
    samplingRate: 0.5,
    population: 40,
    cap: 9,
  } as const;
  expect(claimWords(truncated)).toMatch(/each of 40 clients.*at most 9/);
  expect(claimWords({ kind: "fixedSize", cohortSize: 7 })).toContain("nothing is gained");
  expect(claimWords({ kind: "none" })).toContain("as if everybody took part");
});

test("[DB40] what is said of a task without privacy is true of its rule: only a mean is called one", () => {
  expect(unprotectedWords({ aggregation: { kind: "mean" } })).toBe(
    "Updates are averaged, and no noise is added.",
  );
  expect(unprotectedWords({ aggregation: { kind: "mean" }, clippingNorm: 0.5 })).toContain(
    "are clipped to norm 0.5 and are averaged",
  );
  const rules: readonly AggregationSpec[] = [
    { kind: "median" },
    { kind: "trimmedMean", trim: 1 },
    { kind: "krum", byzantine: 1, select: 2 },
    { kind: "geometricMedian", iterations: 8, smoothing: 1e-6 },
    { kind: "centredClipping", radius: 1, iterations: 5 },
    { kind: "normBounding", factor: 1 },
  ];
  const texts = rules.map((aggregation) => unprotectedWords({ aggregation, clippingNorm: 2 }));
  expect(new Set(texts).size).toBe(rules.length);
  for (const text of texts) {
    expect(text).toContain("hides nothing of those that do not");
    expect(text).toContain("clipped to norm 2");
    expect(text).not.toContain("added up");
  }
});
