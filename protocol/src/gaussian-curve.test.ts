import { readFileSync } from "node:fs";

import { expect, test } from "vitest";

import { deltaOfGaussian, epsilonOfGaussian, muOfGaussian } from "./gaussian-curve.ts";

interface Row {
  epsilon: number;
  delta: number;
  sigma_analytic: number;
  sigma_classical: number;
  true_epsilon_of_classical: number;
  sigma_for_clip_1_replace_one: number;
}

/** By Google's library; the file names it. */
const { vectors: all } = JSON.parse(
  readFileSync(new URL("../../test/vectors/gaussian_analytic_ldp.json", import.meta.url), "utf8"),
) as { vectors: (Row & { kind?: string })[] };
const vectors = all.filter(({ kind }) => kind === undefined);

test("[LD1] the least noise for epsilon and delta is an independent library's to 1e-9", () => {
  expect(vectors.length).toBeGreaterThan(10);
  for (const { epsilon, delta, sigma_analytic, sigma_for_clip_1_replace_one } of vectors) {
    const sigma = 1 / muOfGaussian(epsilon, delta);
    expect(Math.abs(sigma / sigma_analytic - 1)).toBeLessThan(1e-9);
    // Two updates of one client, each in a ball of radius 1, are up to 2 apart.
    expect(Math.abs((2 * sigma) / sigma_for_clip_1_replace_one - 1)).toBeLessThan(1e-9);
  }
});

test("[LD1] that noise keeps its epsilon and a little less does not", () => {
  for (const { epsilon, delta } of vectors) {
    const mu = muOfGaussian(epsilon, delta);
    expect(deltaOfGaussian(mu, epsilon)).toBeLessThanOrEqual(delta);
    expect(epsilonOfGaussian(mu * (1 + 1e-9), delta)).toBeGreaterThan(epsilon * (1 - 1e-12));
    expect(epsilonOfGaussian(mu * 1.001, delta)).toBeGreaterThan(epsilon);
  }
});

test("[LD1] the classical formula's noise does not keep a large epsilon, and wastes at a small one", () => {
  let broken = 0;
  for (const { epsilon, delta, sigma_classical, true_epsilon_of_classical } of vectors) {
    const kept = epsilonOfGaussian(1 / sigma_classical, delta);
    expect(Math.abs(kept / true_epsilon_of_classical - 1)).toBeLessThan(1e-9);
    if (kept > epsilon) broken += 1;
    if (epsilon < 1) expect(1 / muOfGaussian(epsilon, delta)).toBeLessThan(sigma_classical);
  }
  expect(broken).toBeGreaterThan(0);
});
