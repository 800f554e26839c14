/** Who of the waiting clients takes part: the cohort, and what may be claimed of how it was drawn. */

import type { ClientId, SamplerSpec, SamplingClaim } from "@tributary/protocol";

interface Uniform {
  /** A number in [0, 1). */
  next(): number;
}

/**
 * Draws a cohort. Waiting clients are put in order first, so that a seeded draw does not depend on who
 * checked in when. There is no top-up: whoever does not answer is missing.
 *
 * Poisson draws exactly one coin for each waiting client, in order of id, and nobody's coin decides
 * about anybody else: with the same coin for each client, adding or removing one changes the place of
 * no other. (A seeded stream gives the clients sorted after the missing one other coins.)
 */
export function selectCohort(
  spec: SamplerSpec,
  waiting: readonly ClientId[],
  uniform: Uniform,
): { readonly cohort: ClientId[]; readonly claim: SamplingClaim } {
  const clients = [...waiting].sort();
  switch (spec.kind) {
    case "all":
      return { cohort: clients, claim: { kind: "none" } };
    case "uniform": {
      const wanted = Math.ceil(spec.cohortSize * (1 + spec.overSelection));
      const cohort = drawWithoutReplacement(clients, wanted, uniform);
      return {
        cohort,
        claim: claimUnless(spec.seed, { kind: "fixedSize", cohortSize: cohort.length }),
      };
    }
    case "poisson":
      return {
        cohort: clients.filter(() => uniform.next() < spec.samplingRate),
        claim: claimUnless(spec.seed, { kind: "poisson", samplingRate: spec.samplingRate }),
      };
  }
}

/** Coins that somebody can throw again are no secret, and amplify nothing. */
const claimUnless = (seed: number | undefined, claim: SamplingClaim): SamplingClaim =>
  seed === undefined ? claim : { kind: "none" };

/**
 * What {@link selectCohort} will claim when enough clients wait, for planning ahead. What a round costs is
 * what was claimed when it was drawn.
 */
export function plannedClaim(spec: SamplerSpec): SamplingClaim {
  switch (spec.kind) {
    case "all":
      return { kind: "none" };
    case "uniform": {
      const cohortSize = Math.ceil(spec.cohortSize * (1 + spec.overSelection));
      return claimUnless(spec.seed, { kind: "fixedSize", cohortSize });
    }
    case "poisson":
      return claimUnless(spec.seed, { kind: "poisson", samplingRate: spec.samplingRate });
  }
}

/** The first steps of a Fisher-Yates shuffle: every subset is equally likely. */
function drawWithoutReplacement(clients: ClientId[], wanted: number, uniform: Uniform): ClientId[] {
  const count = Math.min(wanted, clients.length);
  for (let i = 0; i < count; i++) {
    const j = i + Math.floor(uniform.next() * (clients.length - i));
    [clients[i], clients[j]] = [clients[j] as ClientId, clients[i] as ClientId];
  }
  return clients.slice(0, count);
}

/**
 * The public, fixed number that a private mean is divided by: q * N for Poisson sampling, the size of
 * the cohort for a fixed one, `minClients` where everybody is taken.
 */
export function expectedReports(spec: SamplerSpec, minClients: number): number {
  switch (spec.kind) {
    case "all":
      return minClients;
    case "uniform":
      return spec.cohortSize;
    case "poisson":
      return spec.samplingRate * spec.population;
  }
}

/** sfc32 (Chris Doty-Humphrey, PractRand): a small generator for repeatable experiments, never for privacy. */
export function createSeededUniform(seed: number): Uniform {
  let [a, b, c, counter] = [seed >>> 0, 0x9e3779b9, 0x243f6a88, 1];
  const next32 = () => {
    const sum = (a + b + counter++) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum;
    return sum >>> 0;
  };
  for (let i = 0; i < 16; i++) next32();
  return { next: () => (next32() * 2 ** 21 + (next32() >>> 11)) / 2 ** 53 };
}
