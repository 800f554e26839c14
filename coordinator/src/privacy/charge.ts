/** What one release costs, and equal ones together. */

import type { SamplingClaim } from "@tributary/protocol";
import { FederatedError } from "@tributary/protocol";

import type { Truncation } from "./loss-truncated.ts";

/** Gaussian noise of z times the clipping norm on the sum of a cohort that was drawn as the claim says. */
export interface GaussianCharge {
  readonly mechanism: "gaussian";
  /** z: standard deviation of the noise on the sum / clipping norm. */
  readonly noiseMultiplier: number;
  readonly claim: SamplingClaim;
  /** A discrete Gaussian, exactly; absent: a continuous one, rounded. */
  readonly noise?: "exact";
}

/** All releases of a matrix mechanism at once: together they are one Gaussian release of this z. */
export interface MatrixCharge {
  readonly mechanism: "matrix";
  /** z: standard deviation of the noise / sensitivity of the whole run. */
  readonly noiseMultiplier: number;
}

export type Charge = GaussianCharge | MatrixCharge;

/** Gaussian noise z on the sum of a Poisson sample of rate q; 1 claims no amplification. */
export function sampledGaussian(noiseMultiplier: number, samplingRate: number): GaussianCharge {
  return { mechanism: "gaussian", noiseMultiplier, claim: { kind: "poisson", samplingRate } };
}

/** Equal charges. */
export interface ChargeGroup {
  readonly charge: Charge;
  readonly count: number;
}

/** What accountants compose: Gaussian noise z on a Poisson sample of rate q (1: on everybody). */
export interface Release {
  readonly noiseMultiplier: number;
  readonly samplingRate: number;
  /** Where no more than so many heads count. */
  readonly truncation?: Truncation;
  /** Discrete Gaussian noise: bounded by the moments of whole orders, and by no loss distribution. */
  readonly isDiscrete?: true;
}

/** Equal releases. */
export interface ReleaseGroup extends Release {
  readonly count: number;
}

/**
 * The sampling rate that counts for a claim, before a cap takes its toll: only independent coins amplify.
 * @throws FederatedError CONFIG_INVALID for a claim that is not known here: nothing may be released on it
 */
export function amplificationOf(claim: SamplingClaim): number {
  switch (claim.kind) {
    case "poisson":
    case "truncatedPoisson":
      return claim.samplingRate;
    case "fixedSize":
    case "none":
      return 1;
    default:
      // Claims come from disk, and may be of a newer version.
      return unknown("sampling claim", claim);
  }
}

/** Every different charge once, in order of first appearance. */
export function groupCharges(charges: Iterable<Charge>): ChargeGroup[] {
  const groups = new Map<string, { readonly charge: Charge; count: number }>();
  for (const charge of charges) {
    const key = keyOf(charge);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { charge, count: 1 });
    else group.count += 1;
  }
  return [...groups.values()];
}

/** As accountants take them. @throws FederatedError CONFIG_INVALID for a charge that is not known here */
export function releasesOf(groups: readonly ChargeGroup[]): ReleaseGroup[] {
  const releases = new Map<string, ReleaseGroup>();
  for (const { charge, count } of groups) {
    const release = { ...releaseOf(charge), count };
    const key = releaseKey(release);
    const known = releases.get(key)?.count ?? 0;
    releases.set(key, { ...release, count: known + count });
  }
  return [...releases.values()];
}

/** Equal for equal releases. */
export const releaseKey = (release: Release): string => {
  const { noiseMultiplier, samplingRate, truncation, isDiscrete } = release;
  return [samplingRate, noiseMultiplier, truncation?.population, truncation?.cap, isDiscrete].join(
    "/",
  );
};

function releaseOf(charge: Charge): Release {
  const { noiseMultiplier } = charge;
  switch (charge.mechanism) {
    case "gaussian": {
      const { claim, noise } = charge;
      if (noise !== undefined && (noise as string) !== "exact") return unknown("noise", noise);
      const release = {
        noiseMultiplier,
        samplingRate: amplificationOf(claim),
        ...(noise === undefined ? {} : { isDiscrete: true as const }),
      };
      if (claim.kind !== "truncatedPoisson") return release;
      const { population, cap } = claim;
      return { ...release, truncation: { population, cap } };
    }
    case "matrix":
      return { noiseMultiplier, samplingRate: 1 };
    default:
      return unknown("mechanism", charge);
  }
}

const keyOf = (charge: Charge): string =>
  charge.mechanism === "gaussian"
    ? `gaussian ${charge.noise ?? ""} ${charge.noiseMultiplier} ${Object.entries(charge.claim).flat().join(" ")}`
    : `${charge.mechanism} ${charge.noiseMultiplier}`;

function unknown(what: string, value: unknown): never {
  throw new FederatedError(
    "CONFIG_INVALID",
    `the accountant does not know the ${what} ${JSON.stringify(value)}; start the version that wrote it`,
  );
}
