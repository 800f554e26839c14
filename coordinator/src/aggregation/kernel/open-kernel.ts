/** The kernel that this engine can run: SIMD where it may, else plain, with the same bits. */

import type { EncodedDelta } from "../encoded-delta.ts";
import type { DeltaSum } from "./delta-sum.ts";
import { createPlainSum, plainNorm } from "./plain.ts";

/** L2 norm of a delta in one pass, summed in float64: finite exactly when every element is. */
export const normOf = (delta: EncodedDelta): number => plainNorm(delta);

/** @param options.whole rounds each element to a whole number before it is added */
export const openDeltaSum = (
  parameterCount: number,
  options: { readonly whole?: boolean } = {},
): DeltaSum => createPlainSum(parameterCount, options);
