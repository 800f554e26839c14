/**
 * The noise of a simulated task, by the samplers of a real one and from the simulation's seed, and what a real run would
 * have promised. Nothing of it is a secret, and so nothing of it is private.
 */

import { roundedUp } from "@tributary/protocol";

import { discreteGaussian } from "../privacy/discrete-gaussian.ts";
import { createExactNoise } from "../privacy/exact-noise.ts";
import type { IntegerNoise } from "../privacy/integer-noise.ts";
import { createIntegerNoise } from "../privacy/integer-noise.ts";
import { localEpsilon } from "../privacy/local-gaussian.ts";
import type { SimulatedPrivacy, SimulatedRound } from "./report.ts";
import type { SeededFill } from "./seeded.ts";
import { createSeededFill, seedFor } from "./seeded.ts";
import type { SimulationSettings } from "./settings.ts";

export function seededNoise({
  spec: { privacy },
  seed,
}: Pick<SimulationSettings, "spec" | "seed">): IntegerNoise {
  const coins = createSeededFill(seedFor(seed, "centralNoise"));
  const isExact = privacy.mechanism === "central" && privacy.noise === "exact";
  return isExact ? exactNoise(coins) : createIntegerNoise(coins);
}

/** As in its thread, and here: a thread would take its coins from the system. */
function exactNoise(coins: SeededFill): IntegerNoise {
  return createExactNoise(() => ({
    ask: async ({ samples, stddev }) => {
      const { sample } = discreteGaussian(stddev, coins);
      return Float64Array.from({ length: samples }, sample);
    },
    close: async () => {},
  }));
}

/** @param mostUpdates of one client */
export function privacyOf(
  { spec: { privacy }, seed }: SimulationSettings,
  rounds: readonly SimulatedRound[],
  mostUpdates: number,
): SimulatedPrivacy | undefined {
  if (privacy.mechanism === "none") return undefined;
  const { mechanism, delta, maxEpsilon, noiseMultiplier } = privacy;
  const spent =
    mechanism === "local"
      ? mostUpdates === 0
        ? 0
        : localEpsilon({ noiseMultiplier, delta, rounds: mostUpdates })
      : (rounds.findLast(({ epsilon }) => epsilon !== undefined)?.epsilon ?? 0);
  const statement =
    `Nothing of this simulation is private: its noise and its cohorts come from seed ${seed}. ` +
    `A real run of the same rounds would have spent epsilon ${roundedUp(spent, 5)} of ${maxEpsilon} at delta ${delta}` +
    (mechanism === "local" ? " for the client that was asked most often." : ".");
  return {
    isPrivateRelease: false,
    ...{ mechanism, epsilonOfRealRun: spent, delta, maxEpsilon, statement },
  };
}
