/** Whether the sender of a body is still there. */

import type { IncomingMessage } from "node:http";

import { FederatedError } from "@tributary/protocol";

export interface Reception {
  /**
   * Ends the reception of the body, with its reason: whoever finds one aborts it. There is one for all of them, as
   * signals that follow others are slow to make and to forget.
   */
  readonly ending: AbortController;
  release(): void;
}

/** Notices from the first moment on when the sender is gone before its body is whole. */
export function watchSender(raw: IncomingMessage): Reception {
  const ending = new AbortController();
  const onClose = () => {
    if (!raw.complete) ending.abort(new FederatedError("ABORTED", "the sender went away"));
  };
  if (raw.destroyed) onClose();
  raw.once("close", onClose);
  return { ending, release: () => void raw.off("close", onClose) };
}
