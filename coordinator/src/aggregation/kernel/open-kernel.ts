/** The sums that this engine can run: SIMD where it may and where it pays, else plain, with the same bits. */

import type { EncodedDelta } from "../encoded-delta.ts";
import type { DeltaSum, DeltaSumOptions } from "./delta-sum.ts";
import { createPlainSum, plainNorm } from "./plain.ts";
import { normElsewhere, normInPlace, openSimdSum } from "./simd-sum.ts";

/** Below so many parameters it is not worth memory of its own, which takes the system longer than the sum. */
const SMALL = 8_192;

/**
 * L2 norm of a delta in one pass, summed in float64: finite exactly when every element is.
 * @throws FederatedError MALFORMED_MESSAGE for a payload that is none of its encoding
 */
export function normOf(delta: EncodedDelta): number {
  const norm =
    normInPlace(delta) ?? (delta.parameterCount < SMALL ? undefined : normElsewhere(delta));
  return norm ?? plainNorm(delta);
}

export function openDeltaSum(parameterCount: number, options: DeltaSumOptions = {}): DeltaSum {
  const simd = parameterCount < SMALL ? undefined : openSimdSum(parameterCount, options);
  return simd ?? createPlainSum(parameterCount, options);
}
