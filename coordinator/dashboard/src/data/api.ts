/** The coordinator's API as the page calls it: JSON with the session's token, faults with their code. */

import type { FederatedError as Fault } from "@tributary/protocol";
import { FederatedError, fromErrorPayload, isFederatedError } from "@tributary/protocol";

import type { ServerClock } from "./server-clock.ts";

export interface Api {
  /** @throws FederatedError */
  getJson<T>(path: string): Promise<T>;
  /** Sends JSON, or nothing, with any method and reads the JSON that answers. @throws FederatedError */
  send<T>(method: "POST" | "PUT" | "DELETE", path: string, body?: unknown): Promise<T>;
  /** An answer as it comes; its body may have no end. Its headers go before the session's. @throws FederatedError */
  open(path: string, init?: OpenInit): Promise<Response>;
}

export interface OpenInit {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal?: AbortSignal;
}

export interface ApiDeps {
  readonly fetch: typeof globalThis.fetch;
  /** Of the session; undefined where the page has none. */
  readonly token: () => string | undefined;
  readonly now: () => number;
  /** Told what the answers say about the coordinator's clock. */
  readonly clock: ServerClock;
}

/** Longer than the slowest honest answer, which is a task with a large model on its way in. */
const ANSWER_MS = 30_000;

export function createApi({ fetch, token, now, clock }: ApiDeps): Api {
  async function open(path: string, init: OpenInit = {}): Promise<Response> {
    const credential = token();
    const sentAt = now();
    const headers = {
      ...(credential === undefined ? {} : { authorization: `Bearer ${credential}` }),
      ...init.headers,
    };
    if (!canBeSent(headers)) {
      throw new FederatedError("UNAUTHENTICATED", "the token has characters that no token has");
    }
    let response: Response;
    try {
      response = await fetch(path, {
        ...init,
        // No cookie and nothing else that other pages could send along.
        credentials: "omit",
        cache: "no-store",
        headers,
      });
    } catch (error) {
      throw unreachable(error);
    }
    const date = Date.parse(response.headers.get("date") ?? "");
    if (Number.isFinite(date)) clock.observe(date, sentAt, now());
    if (!response.ok) throw await faultOf(response);
    return response;
  }

  async function json<T>(path: string, init: OpenInit): Promise<T> {
    const response = await open(path, { ...init, signal: AbortSignal.timeout(ANSWER_MS) });
    try {
      return (await response.json()) as T;
    } catch (error) {
      throw unreachable(error);
    }
  }

  return {
    open,
    getJson: (path) => json(path, { headers: { accept: "application/json" } }),
    send: (method, path, body) =>
      json(path, {
        method,
        ...(body === undefined
          ? {}
          : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
      }),
  };
}

/** A token that was pasted may hold what no header can: invisible spaces, say. */
function canBeSent(headers: Readonly<Record<string, string>>): boolean {
  try {
    new Headers(headers);
    return true;
  } catch {
    return false;
  }
}

const unreachable = (cause: unknown): Fault =>
  new FederatedError("UNAVAILABLE", "the coordinator does not answer", { cause });

/** A proxy on the way answers without a problem of ours; its status is all there is to tell. */
async function faultOf(response: Response): Promise<Fault> {
  const body: unknown = await response.json().catch(() => undefined);
  if (typeof body === "object" && body !== null && "code" in body) return fromErrorPayload(body);
  const { status } = response;
  const code = status === 401 ? "UNAUTHENTICATED" : status === 404 ? "NOT_FOUND" : "UNAVAILABLE";
  return new FederatedError(code, `something on the way answered with status ${status}`);
}

/** Any thrown value as a fault that can be shown; what is none of ours is a bug of this page. */
export function asFault(error: unknown): Fault {
  if (isFederatedError(error)) return error;
  return new FederatedError("INTERNAL", `the page failed: ${String(error)}`, { cause: error });
}
