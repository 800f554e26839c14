/** Time limits of uploads: none waits or sends for longer than it may, or more slowly than it must. */

import { FederatedError } from "@tributary/protocol";

import type { Limit } from "../limits/limit.ts";
import type { HttpLimits } from "./deps.ts";
import { watchPace } from "./pace.ts";

/** What a sender is told to wait when all turns and places are taken: about one upload of 4 MB at 30 Mbit/s. */
export const RETRY_AFTER_MS = 1000;

export interface Patience {
  /** What is waited for. */
  readonly what: string;
  readonly limits: Pick<
    HttpLimits,
    "uploadTimeoutMs" | "minUploadBytesPerSecond" | "slowPeerGraceMs"
  >;
  /** Aborted when it takes too long, and by whoever else ends it. */
  readonly ending: AbortController;
  /** Something is being sent, and must keep the pace. */
  readonly sending?: boolean;
}

/**
 * @param run stops when `ending` aborts; tells `moved` of bytes that came
 * @throws FederatedError UNAVAILABLE when `run` takes too long; whatever reason `ending` has
 */
export async function within<Result>(
  { what, limits, ending, sending = false }: Patience,
  run: (moved: (bytes: number) => void) => Promise<Result>,
): Promise<Result> {
  const { uploadTimeoutMs, minUploadBytesPerSecond, slowPeerGraceMs } = limits;
  const giveUp = (limit: Limit, message: string) =>
    ending.abort(
      new FederatedError("UNAVAILABLE", `${message}; send it again`, {
        retryAfterMs: RETRY_AFTER_MS,
        details: { limit },
      }),
    );
  const timer = setTimeout(() => {
    giveUp("uploadTimeoutMs", `${what} did not come within ${uploadTimeoutMs} ms`);
  }, uploadTimeoutMs);
  timer.unref();
  const pace = sending
    ? watchPace(
        { bytesPerSecond: minUploadBytesPerSecond, graceMs: slowPeerGraceMs },
        (bytesPerSecond) => {
          const rates = `${Math.round(bytesPerSecond)} bytes a second, at least ${minUploadBytesPerSecond} are asked for`;
          giveUp("minUploadBytesPerSecond", `${what} came at ${rates}`);
        },
      )
    : undefined;
  try {
    return await run((bytes) => pace?.moved(bytes));
  } finally {
    clearTimeout(timer);
    pace?.stop();
  }
}
