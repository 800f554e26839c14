/** How long an update's frame may be. */

import type { Assignment } from "@tributary/protocol";
import { FederatedError } from "@tributary/protocol";

/** @throws FederatedError UPDATE_TOO_LARGE for a frame that the coordinator would not read */
export function checkFrameLength(
  frame: Uint8Array,
  { maxBytes }: Pick<Assignment["update"], "maxBytes">,
): void {
  if (frame.length <= maxBytes) return;
  throw new FederatedError(
    "UPDATE_TOO_LARGE",
    `the update has ${frame.length} bytes, the coordinator takes ${maxBytes}`,
  );
}
