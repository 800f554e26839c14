/** Lets the sender of a refused body read its answer. */

import type { IncomingMessage } from "node:http";

/** Time that a refused sender has to finish and to read the answer before its connection is cut. */
const LINGER_MS = 2000;

/**
 * Throws the rest of an unread body away for a moment: cutting a connection while the other end still
 * writes would also destroy the answer that it has not read yet.
 */
export function letFinish(raw: IncomingMessage): void {
  if (raw.complete || raw.destroyed) return;
  raw.resume();
  const timer = setTimeout(() => raw.destroy(), LINGER_MS);
  timer.unref();
  const clear = () => clearTimeout(timer);
  raw.once("end", clear).once("close", clear).on("error", clear);
}
