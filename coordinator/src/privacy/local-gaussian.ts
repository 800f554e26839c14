/**
 * What local noise costs a client: the exact Gaussian for any two data sets of it, with no amplification, as the
 * coordinator itself is among those whom it holds against. k updates of noise z are one of mu = sqrt(k) / z.
 */

import { epsilonOfGaussian, FederatedError, muOfGaussian } from "@tributary/protocol";

/** Equal updates of one client, each with noise of z times 2 C. */
export interface LocalPlan {
  readonly noiseMultiplier: number;
  readonly delta: number;
  /** Updates that one client makes in all. */
  readonly rounds: number;
}

/** Epsilon of the plan; never below the exact value. */
export function localEpsilon({ noiseMultiplier, delta, rounds }: LocalPlan): number {
  return epsilonOfGaussian(Math.sqrt(rounds) / noiseMultiplier, delta);
}

/** Updates that a client may make within `maxEpsilon`; its own ledger counts them. */
export function localRounds(limit: {
  readonly noiseMultiplier: number;
  readonly delta: number;
  readonly maxEpsilon: number;
}): number {
  const { noiseMultiplier, delta, maxEpsilon } = limit;
  const most = Math.floor((muOfGaussian(maxEpsilon, delta) * noiseMultiplier) ** 2);
  return Number.isFinite(most) ? Math.min(most, Number.MAX_SAFE_INTEGER) : 0;
}

/** Above the rounding of 1e5 additions, and far below what anybody would notice. */
const HAIR = 1e-11;

export interface LocalTarget extends Omit<LocalPlan, "noiseMultiplier"> {
  readonly targetEpsilon: number;
}

export interface LocalCalibration {
  readonly noiseMultiplier: number;
  /** The achieved one: never above the target. */
  readonly epsilon: number;
}

/**
 * The least noise at which `rounds` updates of one client cost at most `targetEpsilon`: z = sqrt(k) / mu with the
 * greatest mu that the target allows (Balle and Wang 2018, Algorithm 1), to one part in 1e11.
 * @throws FederatedError CONFIG_INVALID for a target that cannot be
 */
export function calibrateLocalNoise({
  targetEpsilon,
  delta,
  rounds,
}: LocalTarget): LocalCalibration {
  const faults = [
    ...(targetEpsilon > 0 && targetEpsilon < Infinity ? [] : [`targetEpsilon ${targetEpsilon}`]),
    ...(delta > 0 && delta < 1 ? [] : [`delta ${delta}`]),
    ...(Number.isInteger(rounds) && rounds >= 1 ? [] : [`rounds ${rounds}`]),
  ];
  if (faults.length > 0) {
    throw new FederatedError(
      "CONFIG_INVALID",
      `local calibration needs targetEpsilon > 0, delta between 0 and 1 and whole rounds >= 1, got ${faults.join(", ")}`,
    );
  }
  const exact = Math.sqrt(rounds) / muOfGaussian(targetEpsilon, delta);
  // A hair up: the ledger adds mu^2 up update by update, and rounding must not cost the last of them.
  for (let noiseMultiplier = exact * (1 + HAIR); ; noiseMultiplier *= 1 + HAIR) {
    const epsilon = localEpsilon({ noiseMultiplier, delta, rounds });
    if (epsilon <= targetEpsilon) return { noiseMultiplier, epsilon };
  }
}
