/**
 * Whole-numbered noise that is exactly a discrete Gaussian (discrete-gaussian.ts), drawn in a thread of its own: some
 * million samples a second, which the event loop does not feel.
 *
 * What it costs: a discrete Gaussian of deviation s on whole numbers that differ by D is (D^2 / (2 s^2))-zCDP (Canonne,
 * Kamath, Steinke 2020, theorem 4), and zCDP of independent elements adds up to D^2 = the squared L2 distance: the
 * Renyi curve of the continuous Gaussian. Its privacy loss distribution is not the continuous one's, so what such
 * noise costs is bounded by Renyi's curve only.
 */

import type { IntegerNoise } from "./integer-noise.ts";
import { assertMayHaveNoise, assertStddev } from "./integer-noise.ts";
import type { Thread } from "../thread.ts";
import { openThread, otherTurns } from "../thread.ts";

export interface NoiseQuestion {
  readonly samples: number;
  readonly stddev: number;
}

/** Samples of one question: some ten milliseconds of the thread, half a millisecond of ours. */
const SLICE = 65_536;

/** @param open for tests: the thread that draws */
export function createExactNoise(
  open: () => Thread<NoiseQuestion, Float64Array> = () =>
    openThread("exact-noise", import.meta.url),
): IntegerNoise {
  return {
    add: async (sum, stddev) => {
      assertStddev(stddev);
      await assertMayHaveNoise(sum, otherTurns);
      const thread = open();
      try {
        for (let start = 0; start < sum.length; start += SLICE) {
          const slice = sum.subarray(start, start + SLICE);
          const noise = await thread.ask({ samples: slice.length, stddev });
          addTo(slice, noise);
          await otherTurns();
        }
      } finally {
        await thread.close();
      }
    },
  };
}

function addTo(slice: Float64Array, noise: Float64Array): void {
  if (noise.length !== slice.length) {
    throw new RangeError(`asked for ${slice.length} samples of noise, got ${noise.length}`);
  }
  let fine = true;
  for (let i = 0; i < slice.length; i++) {
    const drawn = noise[i] as number;
    // -0 + 0 is 0: a sum of zeros must not tell whose sign it had.
    const noisy = (slice[i] as number) + (drawn + 0);
    slice[i] = noisy;
    if (!Number.isSafeInteger(drawn) || !Number.isSafeInteger(noisy)) fine = false;
  }
  noise.fill(0);
  if (!fine)
    throw new RangeError("with noise on it a sum must still be of whole numbers below 2^53");
}
