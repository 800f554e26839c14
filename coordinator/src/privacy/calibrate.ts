/** Calibration: the least noise that keeps a plan of equal rounds within its budget. */

import { FederatedError } from "@tributary/protocol";

import type { Spent } from "./accountant.ts";
import { epsilonOfGroups, renyiEpsilonOfGroups } from "./accountant.ts";
import { sampledGaussian } from "./charge.ts";

export interface CalibrationTarget {
  /** Epsilon that must not be exceeded; > 0. */
  readonly targetEpsilon: number;
  readonly delta: number;
  /** q of independent Poisson sampling; 1 claims no amplification. */
  readonly samplingRate: number;
  readonly rounds: number;
}

export interface Calibration extends Spent {
  readonly noiseMultiplier: number;
}

/** Relative width of the bracket at which the search ends; its upper end is the answer. */
const TOLERANCE = 1e-5;
const LEAST_NOISE = 1e-3;
const MOST_NOISE = 1e6;

/**
 * The least noise multiplier, to one part in 1e5, at which `rounds` cost at most `targetEpsilon`.
 * The epsilon that comes with it is the achieved one and never above the target.
 * @throws FederatedError CONFIG_INVALID for a target that cannot be, or that no noise reaches
 */
export function calibrateNoise(target: CalibrationTarget): Calibration {
  assertTarget(target);
  const { targetEpsilon, delta, samplingRate, rounds } = target;
  const plan = (noiseMultiplier: number) => [
    { charge: sampledGaussian(noiseMultiplier, samplingRate), count: rounds },
  ];
  const renyi = (z: number) => renyiEpsilonOfGroups(plan(z), delta).epsilon;
  const spent = (z: number) => epsilonOfGroups(plan(z), delta);

  // By Renyi divergences alone, which cost little: enough noise, if more than is needed.
  let enough = 1;
  while (renyi(enough) > targetEpsilon) {
    enough *= 2;
    if (enough > MOST_NOISE) {
      throw new FederatedError(
        "CONFIG_INVALID",
        `no noise multiplier up to ${MOST_NOISE} keeps ${rounds} rounds within epsilon ${targetEpsilon} at delta ${delta}`,
      );
    }
  }
  let few = enough / 2;
  while (renyi(few) <= targetEpsilon && few > LEAST_NOISE) few /= 2;
  while (few * 1.02 < enough) {
    const middle = Math.sqrt(few * enough);
    if (renyi(middle) <= targetEpsilon) enough = middle;
    else few = middle;
  }

  // The tight bound from there: false position in logarithms, where its curve is almost straight, now a hair
  // above the crossing and now a hair below, so that the bracket closes from both sides.
  const look = (z: number) => ({ z, ...spent(z) });
  let high = look(enough);
  let low = look(enough * 0.9);
  for (let factor = 0.81; low.epsilon <= targetEpsilon; factor *= factor) {
    high = low;
    if (high.z * factor < LEAST_NOISE) return answer(high);
    low = look(high.z * factor);
  }
  for (let i = 0; high.z > low.z * (1 + TOLERANCE); i++) {
    const width = Math.log(high.z / low.z);
    const straight = Math.log(low.epsilon / targetEpsilon) / Math.log(low.epsilon / high.epsilon);
    const hair = ((i % 2 === 0 ? 0.4 : -0.4) * TOLERANCE) / width;
    // Every third look halves the bracket, whatever the curve is like.
    const share = i % 3 === 2 ? 0.5 : Math.min(0.999, Math.max(0.001, straight + hair));
    const at = look(low.z * Math.exp(width * share));
    if (at.epsilon > targetEpsilon) low = at;
    else high = at;
  }
  return answer(high);
}

const answer = ({ z, epsilon, accountant }: Spent & { readonly z: number }): Calibration => ({
  noiseMultiplier: z,
  epsilon,
  accountant,
});

function assertTarget({ targetEpsilon, samplingRate, rounds }: CalibrationTarget): void {
  const faults = [
    ...(targetEpsilon > 0 && targetEpsilon < Infinity ? [] : [`targetEpsilon ${targetEpsilon}`]),
    ...(samplingRate > 0 && samplingRate <= 1 ? [] : [`samplingRate ${samplingRate}`]),
    ...(Number.isInteger(rounds) && rounds >= 1 ? [] : [`rounds ${rounds}`]),
  ];
  if (faults.length === 0) return;
  throw new FederatedError(
    "CONFIG_INVALID",
    `calibration needs targetEpsilon > 0, samplingRate in (0, 1] and whole rounds >= 1, got ${faults.join(", ")}`,
  );
}
