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
        claim: claimUnless(spec.seed, { kind: "fixedSize", cohortSize: wanted }),
      };
    }
    case "poisson": {
      const heads = clients.filter(() => uniform.next() < spec.samplingRate);
      const claim = claimUnless(spec.seed, claimOfCoins(spec));
      if (spec.maxCohort === undefined) return { cohort: heads, claim };
      if (waitBeyondPopulation(spec, clients.length))
        return { cohort: [], claim: { kind: "none" } };
      const places = withPlacesOfAbsent(heads, spec, clients.length, uniform);
      const chosen = drawWithoutReplacement(places, spec.maxCohort, uniform);
      return { cohort: chosen.filter((client) => client !== undefined), claim };
    }
  }
}

type Poisson = Extract<SamplerSpec, { kind: "poisson" }>;

/**
 * A capped draw is accounted for a public number of places, so where more clients wait, nobody is drawn: a place
 * for the others would be at the cost of somebody's chance that nobody has accounted.
 */
export const waitBeyondPopulation = (spec: SamplerSpec, waiting: number): boolean =>
  spec.kind === "poisson" && spec.maxCohort !== undefined && waiting > spec.population;

/**
 * The heads of everybody in the population: a place whose client does not wait throws its coin all the same, so
 * that who waits changes nobody else's chance. It is empty when it is chosen.
 */
function withPlacesOfAbsent(
  heads: readonly ClientId[],
  { samplingRate, population }: Poisson,
  waiting: number,
  uniform: Uniform,
): (ClientId | undefined)[] {
  const places: (ClientId | undefined)[] = [...heads];
  for (let i = waiting; i < population; i++) {
    if (uniform.next() < samplingRate) places.push(undefined);
  }
  return places;
}

function claimOfCoins({ samplingRate, population, maxCohort }: Poisson): SamplingClaim {
  return maxCohort === undefined
    ? { kind: "poisson", samplingRate }
    : { kind: "truncatedPoisson", samplingRate, population, cap: maxCohort };
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
      return claimUnless(spec.seed, claimOfCoins(spec));
  }
}

/** The first steps of a Fisher-Yates shuffle: every subset is equally likely. */
function drawWithoutReplacement<T>(clients: T[], wanted: number, uniform: Uniform): T[] {
  const count = Math.min(wanted, clients.length);
  for (let i = 0; i < count; i++) {
    const j = i + Math.floor(uniform.next() * (clients.length - i));
    [clients[i], clients[j]] = [clients[j] as T, clients[i] as T];
  }
  return clients.slice(0, count);
}

/**
 * The public, fixed number that a private mean is divided by: q * N or the cap for Poisson sampling, the size of
 * the cohort for a fixed one, `minClients` where everybody is taken.
 */
export function expectedReports(spec: SamplerSpec, minClients: number): number {
  switch (spec.kind) {
    case "all":
      return minClients;
    case "uniform":
      return spec.cohortSize;
    case "poisson":
      return Math.min(spec.samplingRate * spec.population, spec.maxCohort ?? Infinity);
  }
}

/** A round of more clients than one process can hold connections of. */
const MANY_CLIENTS = 2 ** 20;

/** So many may report in one round. */
export function mostReports(spec: SamplerSpec): number {
  switch (spec.kind) {
    case "all":
      return MANY_CLIENTS;
    case "uniform":
      return Math.ceil(spec.cohortSize * (1 + spec.overSelection));
    case "poisson":
      return spec.maxCohort ?? spec.population;
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
