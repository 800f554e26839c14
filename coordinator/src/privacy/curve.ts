/** The Renyi curve of one release, whatever it was drawn and made noisy by. */

import { FederatedError } from "@tributary/protocol";

import type { Release } from "./charge.ts";
import { onWholeOrders, RDP_ORDERS, rdpOfSampledGaussian } from "./rdp.ts";
import { rdpOfTruncatedGaussian } from "./rdp-truncated.ts";

/** RDP at each of {@link RDP_ORDERS}. @throws FederatedError CONFIG_INVALID */
export function renyiCurve(release: Release): readonly number[] {
  const { noiseMultiplier: z, samplingRate: q, truncation, isDiscrete } = release;
  if (!(z > 0 && z < Infinity) || !(q >= 0 && q <= 1)) {
    throw new FederatedError(
      "CONFIG_INVALID",
      `a charge needs noiseMultiplier > 0 and samplingRate in [0, 1], got ${z} and ${q}; ` +
        "correct the task's privacy and sampler",
    );
  }
  // Without sampling discrete noise has the continuous curve at every order: zCDP.
  const isWholeOnly = isDiscrete === true && (q < 1 || truncation !== undefined);
  const follow = (rdpAt: (order: number) => number) =>
    RDP_ORDERS.map(isWholeOnly ? onWholeOrders(rdpAt) : rdpAt);
  if (truncation === undefined) return follow((order) => rdpOfSampledGaussian(q, z, order));
  const { population, cap } = truncation;
  if (!Number.isInteger(population) || !Number.isInteger(cap) || !(population >= 1 && cap >= 1)) {
    throw new FederatedError(
      "CONFIG_INVALID",
      `a truncated sample needs a whole population and cap >= 1, got ${population} and ${cap}; ` +
        "correct the task's sampler",
    );
  }
  return follow((order) => rdpOfTruncatedGaussian(q, z, truncation, order));
}
