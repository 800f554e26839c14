/** What an update must be before it may touch the sum. */

import { FederatedError, l2Norm } from "@tributary/protocol";

/**
 * Checks length, examples, and in one pass norm and finiteness. A norm of zero is fine.
 * @throws FederatedError UPDATE_LAYOUT_MISMATCH, MALFORMED_MESSAGE, UPDATE_NOT_FINITE
 */
export function validateUpdate(
  delta: Float32Array,
  numExamples: number,
  expected: { readonly parameterCount: number },
): { readonly norm: number } {
  if (delta.length !== expected.parameterCount) {
    throw new FederatedError(
      "UPDATE_LAYOUT_MISMATCH",
      `the update has ${delta.length} parameters, the model ${expected.parameterCount}`,
    );
  }
  if (!Number.isSafeInteger(numExamples) || numExamples < 1) {
    throw new FederatedError(
      "MALFORMED_MESSAGE",
      `an update is trained on at least one example, this one says ${numExamples}`,
    );
  }
  const norm = l2Norm(delta);
  if (!Number.isFinite(norm)) {
    throw new FederatedError("UPDATE_NOT_FINITE", "the update has NaN or infinite elements");
  }
  return { norm };
}
