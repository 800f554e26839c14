/** What training changed, as it may be sent: finite and clipped, with the event loop's turns in between. */

import type { TrainingPlan } from "@tributary/protocol";
import { clipFactor, FederatedError } from "@tributary/protocol";

import { createBreather } from "./breather.ts";
import { throwIfAborted } from "./delay.ts";

/** Elements between two looks at the clock: some 0.1 ms. */
const SLICE = 65_536;

/**
 * trained - received, of L2 norm at most `plan.clippingNorm` up to rounding; under local noise it is clipped on its
 * way to the grid, exactly. The numbers are those of `subtract` and `clipToNorm`, bit for bit.
 * @throws FederatedError UPDATE_LAYOUT_MISMATCH, UPDATE_NOT_FINITE, ABORTED
 */
export async function deltaOf(
  trained: Float32Array,
  received: Float32Array,
  { clippingNorm, localNoise }: Pick<TrainingPlan, "clippingNorm" | "localNoise">,
  signal: AbortSignal,
): Promise<Float32Array> {
  const { length } = received;
  if (trained.length !== length) {
    throw new FederatedError(
      "UPDATE_LAYOUT_MISMATCH",
      `the trainer returned ${trained.length} weights for a model of ${length}`,
    );
  }
  const breathe = createBreather();
  const inSlices = async (work: (index: number) => void) => {
    for (let start = 0; start < length; start += SLICE) {
      const end = Math.min(length, start + SLICE);
      for (let i = start; i < end; i++) work(i);
      await breathe();
      throwIfAborted(signal);
    }
  };
  const delta = new Float32Array(length);
  let squares = 0;
  await inSlices((i) => {
    delta[i] = (trained[i] as number) - (received[i] as number);
    const value = delta[i];
    squares += value * value;
  });
  const norm = Math.sqrt(squares);
  if (!Number.isFinite(norm)) throw notFinite();
  const factor =
    clippingNorm === undefined || localNoise !== undefined ? 1 : clipFactor(norm, clippingNorm);
  if (factor !== 1) {
    await inSlices((i) => {
      delta[i] = (delta[i] as number) * factor;
    });
  }
  return delta;
}

export const notFinite = () =>
  new FederatedError(
    "UPDATE_NOT_FINITE",
    "training ended in weights that are not finite; a lower learning rate may help",
  );
