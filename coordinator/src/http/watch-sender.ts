/** Whether the sender of a body is still there. */

import type { IncomingMessage } from "node:http";

import { FederatedError } from "@tributary/protocol";

/** Notices from the first moment on when the sender is gone before its body is whole. */
export function watchSender(raw: IncomingMessage): {
  readonly gone: AbortSignal;
  release(): void;
} {
  const controller = new AbortController();
  const onClose = () => {
    if (!raw.complete) controller.abort(new FederatedError("ABORTED", "the sender went away"));
  };
  if (raw.destroyed) onClose();
  raw.once("close", onClose);
  return { gone: controller.signal, release: () => void raw.off("close", onClose) };
}
