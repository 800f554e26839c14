import { expect, test } from "vitest";

import { claimWords } from "./privacy-words.ts";

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
