import type { Mutant } from "../mutant.ts";

const file = "coordinator/src/privacy/adaptive-clipping.ts";
const tests = ["coordinator/src/privacy/adaptive-clipping.test.ts"];

export const wrongDirection: Mutant = {
  failure: 11,
  title: "the clipping norm runs away from its quantile",
  file,
  find: "Math.exp(-learningRate * (known - targetQuantile))",
  replace: "Math.exp(learningRate * (known - targetQuantile))",
  tests,
};

export const bitNotCentred: Mutant = {
  failure: 11,
  title: "the bit is 0 or 1, and moves the count by 1 instead of 1/2",
  file,
  find: "return norm <= clippingNorm ? 1 : -1;",
  replace: "return (norm <= clippingNorm ? 2 : 0) as 1;",
  tests,
};

export const splitNotApplied: Mutant = {
  failure: 11,
  title: "the deltas get noise z, and nobody pays for the bits",
  file,
  find: "return noiseMultiplier / Math.sqrt((1 - share) * (1 + share));",
  replace: "return noiseMultiplier;",
  tests,
};

export const splitNotUsed: Mutant = {
  failure: 11,
  title: "the split is computed, and the sum gets noise z all the same",
  file: "coordinator/src/round/round-sum.ts",
  find: "const { deltaNoiseMultiplier: noiseMultiplier } = clipping;",
  replace: "const { noiseMultiplier } = privacy;",
  tests: ["coordinator/src/round/clipping.test.ts"],
};

export const bitOfClippedDelta: Mutant = {
  failure: 11,
  title: "the bit is of the clipped delta, which is always at or below the norm",
  file: "coordinator/src/aggregation/adaptive-sum.ts",
  find: "bitOfNorm(norm, grid.clippingNorm)",
  replace: "bitOfNorm(Math.min(norm, grid.clippingNorm), grid.clippingNorm)",
  tests: ["coordinator/src/round/clipping.test.ts"],
};

export const dividedByReports: Mutant = {
  failure: 11,
  title: "the count is divided by those who came, whose number is private",
  file: "coordinator/src/round/round-sum.ts",
  find: "shareBelow(noisy[0] ?? Number.NaN, expectedReportsOf(spec))",
  replace: "shareBelow(noisy[0] ?? Number.NaN, sum.count)",
  tests: ["coordinator/src/round/clipping.test.ts"],
};

export const deltasAloneCharged: Mutant = {
  failure: 11,
  title: "what is charged is the larger noise of the deltas, as if the bits were free",
  file: "coordinator/src/round/central-budget.ts",
  find: "    noiseMultiplier,\n    claim,",
  replace: "    noiseMultiplier: 1.005 * noiseMultiplier,\n    claim,",
  tests: ["coordinator/src/round/clipping.test.ts"],
};
