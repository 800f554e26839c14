/** The coordinator's HTTP API as commands use it; every failure becomes a FederatedError. */

import { FederatedError, fromErrorPayload } from "@tributary/protocol";

import { unreachable, untrusted } from "./failure.ts";

export interface Api {
  readonly url: string;
  getJson<T>(path: string): Promise<T>;
  postJson<T>(path: string, body?: unknown): Promise<T>;
  deleteJson<T>(path: string): Promise<T>;
  getBytes(path: string): Promise<Uint8Array>;
  /** The open response of a stream, without a time limit. */
  open(path: string, headers?: Readonly<Record<string, string>>): Promise<Response>;
}

export interface ApiOptions {
  readonly url: string;
  /** Bearer token. */
  readonly token?: string;
  readonly signal?: AbortSignal;
}

const ANSWER_TIMEOUT_MS = 30_000;
/** A large model over a slow line. */
const BYTES_TIMEOUT_MS = 600_000;

/**
 * @throws FederatedError CONFIG_INVALID for a token that no header carries; by its calls UNAVAILABLE when the
 * coordinator cannot be reached, or what it answers with
 */
export function createApi({ url, token, signal }: ApiOptions): Api {
  const base = url.replace(/\/+$/, "");
  // The platform's own error would repeat it.
  if (token !== undefined && !/^[\x21-\x7e]+$/.test(token)) {
    const rule = "must be visible ASCII characters without spaces and line breaks";
    throw new FederatedError("CONFIG_INVALID", `the token ${rule}`);
  }

  async function request(path: string, init: RequestInit, timeoutMs?: number): Promise<Response> {
    const signals = [
      ...(signal === undefined ? [] : [signal]),
      ...(timeoutMs === undefined ? [] : [AbortSignal.timeout(timeoutMs)]),
    ];
    const headers = new Headers(init.headers);
    if (token !== undefined) headers.set("authorization", `Bearer ${token}`);
    let response: Response;
    try {
      response = await fetch(`${base}${path}`, {
        ...init,
        headers,
        // The token is for this coordinator only.
        redirect: "error",
        signal: AbortSignal.any(signals),
      });
    } catch (error) {
      throw lost(base, error);
    }
    if (response.ok) return response;
    throw await refusal(base, path, response);
  }

  /** A body that breaks off is a connection lost, too. */
  async function read<T>(body: Promise<T>): Promise<T> {
    try {
      return await body;
    } catch (error) {
      throw lost(base, error);
    }
  }

  return {
    url: base,
    getJson: async <T>(path: string) => {
      const response = await request(path, {}, ANSWER_TIMEOUT_MS);
      return (await read(response.json())) as T;
    },
    postJson: async <T>(path: string, body?: unknown) => {
      const init: RequestInit =
        body === undefined
          ? { method: "POST" }
          : {
              method: "POST",
              headers: { "content-type": "application/json" },
              body: JSON.stringify(body),
            };
      const response = await request(path, init, BYTES_TIMEOUT_MS);
      return (await read(response.json())) as T;
    },
    deleteJson: async <T>(path: string) => {
      const response = await request(path, { method: "DELETE" }, ANSWER_TIMEOUT_MS);
      return (await read(response.json())) as T;
    },
    getBytes: async (path) => {
      const response = await request(path, {}, BYTES_TIMEOUT_MS);
      return new Uint8Array(await read(response.arrayBuffer()));
    },
    open: async (path, headers = {}) => request(path, { headers }),
  };
}

function lost(base: string, error: unknown): FederatedError {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (!(cause instanceof Error)) return unreachable(base, String(cause), error);
  const code = "code" in cause && typeof cause.code === "string" ? cause.code : undefined;
  const distrust = code === undefined ? undefined : distrustOf(code, cause.message);
  if (distrust !== undefined) return untrusted(base, distrust, error);
  // What a listener with TLS does to a request without: it closes, and says nothing.
  const closed = code === "UND_ERR_SOCKET" && base.startsWith("http:");
  const hint = "it closed the connection, as one that speaks TLS does: is it https://";
  return unreachable(base, closed ? `${hint}?` : (code ?? cause.message), error);
}

/** What keeps TLS from coming about, and what to do; undefined for other failures. Node's and OpenSSL's codes. */
function distrustOf(code: string, message: string): string | undefined {
  if (UNTRUSTED.has(code)) {
    return `no authority that this machine trusts has signed its certificate (${code}); for one of your own set NODE_EXTRA_CA_CERTS to its PEM file`;
  }
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") {
    return `its certificate is for other names (${message.replace(/\s+/g, " ")}); pass one of them with --url`;
  }
  if (code === "CERT_HAS_EXPIRED" || code === "CERT_NOT_YET_VALID") {
    return `its certificate ${code === "CERT_HAS_EXPIRED" ? "has expired" : "is not valid yet"}; renew it there, or mend this machine's clock`;
  }
  if (code === "ERR_SSL_WRONG_VERSION_NUMBER" || code === "ERR_SSL_PACKET_LENGTH_TOO_LONG") {
    return "it speaks no TLS; write http:// where that is meant";
  }
  return undefined;
}

const UNTRUSTED: ReadonlySet<string> = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
]);

async function refusal(base: string, path: string, response: Response): Promise<FederatedError> {
  if (response.headers.get("content-type")?.startsWith("application/problem+json") === true) {
    const error = fromErrorPayload(await response.json().catch(() => undefined));
    if (response.status !== 401 && response.status !== 403) return error;
    const advice = "set TRIBUTARY_AUTH_ADMIN_TOKEN, or run this beside the coordinator's data";
    return new FederatedError(error.code, `${error.message} (${advice})`, { cause: error });
  }
  return new FederatedError(
    response.status === 404 ? "NOT_FOUND" : "UNAVAILABLE",
    `${base}${path} answered ${response.status}; that is no Tributary coordinator`,
  );
}
