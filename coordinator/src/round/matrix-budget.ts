/**
 * The budget of a task under a matrix mechanism: the whole run costs one Gaussian release of its noise multiplier,
 * whoever is in which round within the limits, from the first step on. Pure.
 */

import type { ManifestPrivacy, MatrixPrivacy } from "@tributary/protocol";
import { epsilonOfGaussian } from "@tributary/protocol";

import { matrixStatement } from "../privacy/matrix/statement.ts";
import type { Budget } from "./budget.ts";
import { factorizationOf } from "./factorization.ts";

/** Epsilon of a run, at its delta. */
export const epsilonOfRun = ({
  noiseMultiplier,
  delta,
}: Pick<MatrixPrivacy, "noiseMultiplier" | "delta">): number =>
  epsilonOfGaussian(1 / noiseMultiplier, delta);

/** @param privacy charges are of its run: one for each step that was taken */
export function matrixBudget(clippingNorm: number, privacy: MatrixPrivacy): Budget {
  const { noiseMultiplier, delta, maxEpsilon, rounds, minSeparation, maxParticipations } = privacy;
  const ofRun = epsilonOfRun(privacy);
  const epsilonOf = (steps: number) => (steps === 0 ? 0 : ofRun);
  const stepsLeft = (steps: number) => (ofRun <= maxEpsilon ? Math.max(0, rounds - steps) : 0);
  return {
    // How a cohort was drawn does not matter: nothing is claimed of it.
    chargeOf: () => ({ mechanism: "matrix", noiseMultiplier }),
    affordsNextRound: (charges) => stepsLeft(charges.length) > 0,
    affords: (charges, next) =>
      next.mechanism === "matrix" &&
      next.noiseMultiplier === noiseMultiplier &&
      stepsLeft(charges.length) > 0,
    epsilonOf: (charges) => epsilonOf(charges.length),
    roundsLeft: (charges) => stepsLeft(charges.length),
    promise: (charges): ManifestPrivacy => {
      const facts = {
        noiseMultiplier,
        clippingNorm,
        factorization: privacy.factorization.kind,
        sensitivity: Math.sqrt(factorizationOf(privacy).sensitivitySquared),
        minSeparation,
        maxParticipations,
        delta,
        maxEpsilon,
        epsilon: epsilonOf(charges.length),
        rounds: charges.length,
      };
      return {
        mechanism: "matrix",
        unit: "client",
        adjacency: "zero-out",
        against: "released-models",
        accountant: "exact-gaussian",
        ...facts,
        statement: matrixStatement({ ...facts, runRounds: rounds, epsilonOfRun: ofRun }),
      };
    },
  };
}
