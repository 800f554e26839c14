/** One check-in by HTTP: asks for a place, waits for as long as it is held, and believes nothing that cannot be. */

import type { HttpCheckInReply, TaskId } from "@tributary/protocol";
import {
  CLIENT_KEY_HEADER,
  FederatedError,
  isFederatedError,
  MAX_WAIT_MS,
  PROTOCOL_VERSION,
  routes,
} from "@tributary/protocol";

import type { Credentials } from "../credentials.ts";
import { LONGEST_PAUSE_MS, withTimeout } from "../delay.ts";
import type { Fetch } from "../http.ts";
import { errorOf, readJson, resolvePath, unreachable } from "../http.ts";
import { REPLIES } from "../incoming.ts";

export interface CheckInDeps {
  readonly origin: string;
  readonly credentials: Pick<Credentials, "forHandshake" | "renewable">;
  readonly fetch: Fetch;
}

/** A thousand tensors have about 100 KB of names and shapes, and the manifest comes on top, twice. */
const MAX_REPLY_BYTES = 4_194_304;
/** On top of the time for which it is held. */
const REQUEST_MS = 20_000;

/**
 * @param waitMs absent: as long as the coordinator lets it wait
 * @throws FederatedError UNAUTHENTICATED, TASK_NOT_FOUND, TASK_ENDED, RATE_LIMITED, UNAVAILABLE, ABORTED, …
 */
export async function checkInOnce(
  deps: CheckInDeps,
  taskId: TaskId,
  waitMs: number | undefined,
  signal: AbortSignal,
): Promise<HttpCheckInReply> {
  const first = await deps.credentials.forHandshake();
  try {
    return await ask(deps, taskId, waitMs, first, signal);
  } catch (error) {
    if (!isFederatedError(error) || error.code !== "UNAUTHENTICATED") throw error;
    // The token may just have run out.
    const next = deps.credentials.renewable ? await deps.credentials.forHandshake() : first;
    if (next.token === first.token) throw error;
    return await ask(deps, taskId, waitMs, next, signal);
  }
}

function ask(
  { origin, fetch }: CheckInDeps,
  taskId: TaskId,
  waitMs: number | undefined,
  auth: { readonly clientKey: string; readonly token?: string },
  signal: AbortSignal,
): Promise<HttpCheckInReply> {
  const query = new URLSearchParams({ protocolVersion: String(PROTOCOL_VERSION) });
  if (waitMs !== undefined) query.set("waitMs", String(waitMs));
  const url = resolvePath(origin, `${routes.checkIns.path({ taskId })}?${query.toString()}`);
  const timeoutMs = (waitMs ?? MAX_WAIT_MS) + REQUEST_MS;
  return withTimeout(signal, timeoutMs, async (within) => {
    let response: Response;
    try {
      response = await fetch.call(undefined, url, {
        method: "POST",
        cache: "no-store",
        redirect: "error",
        headers: {
          [CLIENT_KEY_HEADER]: auth.clientKey,
          ...(auth.token === undefined ? {} : { authorization: `Bearer ${auth.token}` }),
        },
        signal: within,
      });
    } catch (error) {
      throw unreachable(error);
    }
    if (!response.ok) throw await errorOf(response);
    return parseReply(await readJson(response, MAX_REPLY_BYTES));
  });
}

function parseReply(value: unknown): HttpCheckInReply {
  if (REPLIES.checkin(value)) {
    const { comeBackInMs } = value as { readonly comeBackInMs?: unknown };
    // Whole, not below 0, and no longer than a timer takes: as many bits as that has.
    if (comeBackInMs === (Number(comeBackInMs) & LONGEST_PAUSE_MS)) {
      return value as HttpCheckInReply;
    }
  }
  throw new FederatedError(
    "UNAVAILABLE",
    "the coordinator's answer to the check-in cannot be read; is it of another version than this client?",
  );
}
