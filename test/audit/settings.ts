/** What is audited: a sample for every test run, and the whole for `npm run audit:privacy`. */

import type { AuditOptions } from "./audit.ts";

/**
 * One release to 2048 canaries. Delta is far below 1 / canaries, or its term in the bound would drown everything.
 * The norm is far below 1, so that a variance in the place of a deviation is far too little noise.
 */
export const SAMPLE: AuditOptions = {
  ...{ canaries: 2048, guesses: 512, rounds: 1, samplingRate: 1 },
  ...{ noiseMultiplier: 2, clippingNorm: 0.01, delta: 1e-9, errorRate: 1e-4 },
};

const MANY: AuditOptions = { ...SAMPLE, canaries: 8192, guesses: 1024, errorRate: 0.01 };

export const FULL: readonly AuditOptions[] = [
  MANY,
  { ...MANY, noiseMultiplier: 1 },
  { ...MANY, noiseMultiplier: 0.5, clippingNorm: 10 },
  // Many rounds, of whom each takes part in some: the sampler and the composition are part of the claim.
  { ...MANY, canaries: 4096, guesses: 512, noiseMultiplier: 1, rounds: 10, samplingRate: 0.5 },
  { ...MANY, canaries: 2048, guesses: 512, noiseMultiplier: 0.7, rounds: 40, samplingRate: 0.1 },
];
