/** What an update must be before it may touch the sum. */

import { FederatedError } from "@tributary/protocol";

import type { EncodedDelta } from "./encoded-delta.ts";
import { normOf } from "./kernel/open-kernel.ts";

/**
 * Checks length, examples, and in one pass norm and finiteness. A norm of zero is fine.
 * @throws FederatedError UPDATE_LAYOUT_MISMATCH, MALFORMED_MESSAGE, UPDATE_NOT_FINITE
 */
export function validateUpdate(
  delta: EncodedDelta,
  numExamples: number,
  expected: { readonly parameterCount: number },
): { readonly norm: number } {
  if (delta.parameterCount !== expected.parameterCount) {
    throw new FederatedError(
      "UPDATE_LAYOUT_MISMATCH",
      `the update has ${delta.parameterCount} parameters, the model ${expected.parameterCount}`,
    );
  }
  if (!Number.isSafeInteger(numExamples) || numExamples < 1) {
    throw new FederatedError(
      "MALFORMED_MESSAGE",
      `an update is trained on at least one example, this one says ${numExamples}`,
    );
  }
  const norm = normOf(delta);
  if (!Number.isFinite(norm)) {
    throw new FederatedError("UPDATE_NOT_FINITE", "the update has NaN or infinite elements");
  }
  return { norm };
}
