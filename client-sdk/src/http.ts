/** The bytes of models and updates over HTTP: verified, bounded in size and time, retried. */

import type { Assignment, CheckpointRef, KeyRecord, Receipt } from "@tributary/protocol";
import {
  CONTENT_DIGEST_HEADER,
  contentDigestOf,
  DELTA_HEADER_BYTES,
  FederatedError,
  fromErrorPayload,
  isErrorCode,
  isFederatedError,
  parseKeys,
  routes,
} from "@tributary/protocol";

import type { Credentials } from "./credentials.ts";
import type { BackoffOptions } from "./delay.ts";
import { backoffDelay, delay, orAborted, throwIfAborted, withTimeout } from "./delay.ts";
import { sha256InTurns } from "./digest-in-turns.ts";
import { checksumOfFrame } from "./frame-checksum.ts";
import { isReceipt } from "./incoming.ts";

export type Fetch = typeof globalThis.fetch;

export interface HttpOptions {
  /** The coordinator. Nothing is ever fetched from, or sent to, another origin. */
  readonly origin: string;
  /** Admit to a coordinator that protects its reads. */
  readonly credentials?: Pick<Credentials, "bearer" | "renew">;
  readonly fetch: Fetch;
  readonly backoff: BackoffOptions;
  /** One try, from the request to the last byte. */
  readonly requestTimeoutMs: number;
}

export interface RequestOptions {
  readonly signal: AbortSignal;
  /** Tries before a retryable error is thrown; without it until `signal` aborts. */
  readonly attempts?: number;
}

export interface DownloadOptions extends RequestOptions {
  /** Makes the frame of the bytes that came. */
  readonly unpack?: (bytes: Uint8Array) => Promise<Uint8Array>;
  /** Counts bytes of answers that were read: as they travelled, where that is told, else as they were unpacked. */
  readonly tally?: { bytes: number };
}

export interface UploadOptions {
  readonly signal: AbortSignal;
  readonly beforeRetry?: () => Promise<void>;
  /** "brotli": packed where this platform can and it pays, else as it is; what is not known is "none". */
  readonly compression?: string;
}

export interface Http {
  /**
   * The checkpoint frame, verified against its digest; what came may be something that makes it, for `unpack`.
   * @throws FederatedError CHECKPOINT_CORRUPT, MODEL_NOT_FOUND, ABORTED, UNAVAILABLE, …
   */
  getCheckpoint(
    checkpoint: Omit<CheckpointRef, "signed">,
    options: DownloadOptions,
  ): Promise<Uint8Array>;
  /** The coordinator's signing keys as it tells them, not verified. @throws FederatedError */
  getKeys(options: RequestOptions): Promise<readonly KeyRecord[]>;
  /**
   * Sends the update and sends it again, byte for byte, until it is answered or `signal` aborts.
   * @throws FederatedError ROUND_CLOSED, UPDATE_…, ABORTED, …; never a retryable one but by `signal`; and what
   * `beforeRetry` throws
   */
  putUpdate(
    update: Assignment["update"],
    frame: Uint8Array,
    options: UploadOptions,
  ): Promise<Receipt>;
}

/** An error's text and a receipt are small; more than this is not read. */
const MAX_JSON_BYTES = 65_536;
/** A chain of {@link MAX_KEYS} keys has some 160 KB. */
const MAX_KEYS_BYTES = 262_144;

/** Bodies above are sent in pieces. */
const LARGE_BYTES = 2 ** 20;

export function createHttp(options: HttpOptions): Http {
  const { origin, credentials, backoff, requestTimeoutMs } = options;
  // Called as a plain function: browsers refuse a `fetch` whose `this` is not their own.
  const fetchOf: Fetch = (input, init) => options.fetch.call(undefined, input, init);

  /** One request. Redirects are refused, so that no token follows one to another origin. */
  const request = <T>(
    path: string,
    init: RequestInit,
    signal: AbortSignal,
    read: (response: Response) => Promise<T>,
  ): Promise<T> => {
    const url = resolvePath(origin, path);
    return withTimeout(signal, requestTimeoutMs, async (within) => {
      let response: Response;
      try {
        response = await fetchOf(url, { ...init, redirect: "error", signal: within });
      } catch (error) {
        throw unreachable(error);
      }
      if (!response.ok) throw await errorOf(response);
      return read(response);
    });
  };

  /** A request with the client's own credential, and once more with a newer one where that is refused. */
  async function requestAsClient<T>(
    path: string,
    init: RequestInit,
    signal: AbortSignal,
    read: (response: Response) => Promise<T>,
  ): Promise<T> {
    if (credentials === undefined) return request(path, init, signal, read);
    const as = (bearer: string) =>
      request(path, { ...init, headers: { authorization: `Bearer ${bearer}` } }, signal, read);
    const bearer = await orAborted(credentials.bearer(), signal);
    try {
      return await as(bearer);
    } catch (error) {
      if (!isFederatedError(error) || error.code !== "UNAUTHENTICATED") throw error;
      const newer = await orAborted(credentials.renew(bearer), signal);
      if (newer === undefined) throw error;
      return await as(newer);
    }
  }

  async function retry<T>(
    signal: AbortSignal,
    attempts: number,
    attempt: (failures: number) => Promise<T>,
  ): Promise<T> {
    for (let failures = 0; ;) {
      try {
        return await attempt(failures);
      } catch (error) {
        throwIfAborted(signal);
        failures += 1;
        if (!isFederatedError(error) || !error.retryable || failures >= attempts) throw error;
        await delay(backoffDelay(failures, backoff, error.retryAfterMs), signal);
      }
    }
  }

  return {
    getCheckpoint: (checkpoint, { signal, attempts = Infinity, unpack, tally }) =>
      retry(signal, attempts, (failures) =>
        requestAsClient(
          checkpoint.url,
          {
            // Immutable, so any cache may answer; after a failure the copy there is no longer trusted.
            cache: failures === 0 ? "default" : "reload",
          },
          signal,
          async (response) => {
            const { bytes } = checkpoint;
            const body = await readBytes(response, unpack ? bytes + DELTA_HEADER_BYTES : bytes);
            // `fetch` has unpacked what was gzipped, and keeps the header.
            if (tally) tally.bytes += Number(response.headers.get("content-length") ?? body.length);
            const frame = unpack ? await unpack(body) : body;
            await verifyFrame(frame, checkpoint);
            return frame;
          },
        ),
      ),
    getKeys: ({ signal, attempts = Infinity }) =>
      retry(signal, attempts, () =>
        requestAsClient(
          routes.keys.path(),
          {
            cache: "no-store",
          },
          signal,
          async (response) => {
            const body = await readJson(response, MAX_KEYS_BYTES);
            return parseKeys(
              typeof body === "object" && body !== null && "keys" in body && body.keys,
            );
          },
        ),
      ),
    putUpdate: async (update, plain, { signal, beforeRetry, compression }) => {
      const packed = compression === "brotli" ? await packedFrame(plain) : undefined;
      const frame = packed ?? plain;
      const body =
        frame.length > LARGE_BYTES
          ? await (await import("./upload-body.ts")).uploadBody(frame)
          : // Never shared memory: frames are made by the codec, or read from a store.
            (frame as Uint8Array<ArrayBuffer>);
      const contentDigest = contentDigestOf({ checksum: await checksumOfFrame(frame) });
      return retry(signal, Infinity, async (failures) => {
        if (failures > 0) await beforeRetry?.();
        return request(
          update.url,
          {
            method: "PUT",
            cache: "no-store",
            headers: {
              authorization: `Bearer ${update.token}`,
              "content-type": "application/octet-stream",
              [CONTENT_DIGEST_HEADER]: contentDigest,
              ...(packed === undefined ? {} : { "content-encoding": "br" }),
            },
            body,
          },
          signal,
          async (response) => parseReceipt(await readJson(response)),
        );
      });
    },
  };
}

/** Most plans ask for none: the part that packs is loaded for those that do, and they can do without it. */
const packedFrame = async (frame: Uint8Array): Promise<Uint8Array | undefined> => {
  const part = await import("./encoding/compress.ts").catch(() => undefined);
  return part?.packBrotli(frame);
};

/** @throws FederatedError CHECKPOINT_CORRUPT when the frame is not the one that `checkpoint` names */
export async function verifyFrame(
  frame: Uint8Array,
  checkpoint: Pick<CheckpointRef, "digest" | "bytes" | "modelVersion">,
): Promise<void> {
  const { digest, bytes, modelVersion } = checkpoint;
  const actual = await sha256InTurns(frame);
  if (frame.length === bytes && actual === digest) return;
  throw new FederatedError(
    "CHECKPOINT_CORRUPT",
    `model version ${modelVersion} should be ${bytes} bytes with SHA-256 ${digest}, ` +
      `got ${frame.length} bytes with ${actual}`,
  );
}

/**
 * The URL of a path on the coordinator.
 * @throws FederatedError MALFORMED_MESSAGE for anything that leads elsewhere
 */
export function resolvePath(origin: string, path: string): string {
  const url =
    path.startsWith("/") && URL.canParse(path, origin) ? new URL(path, origin) : undefined;
  if (url?.origin === origin) return url.href;
  throw new FederatedError(
    "MALFORMED_MESSAGE",
    `the coordinator named ${JSON.stringify(path.slice(0, 80))}, which is no path on ${origin}`,
  );
}

export function unreachable(cause: unknown): FederatedError {
  return new FederatedError("UNAVAILABLE", "the coordinator cannot be reached", { cause });
}

/** The body, if it has at most `limit` bytes: nobody can make a client hold more. */
async function readBytes(response: Response, limit: number): Promise<Uint8Array> {
  const tooLong = (bytes: number) =>
    new FederatedError(
      "CHECKPOINT_CORRUPT",
      `${limit} bytes were announced, ${bytes} or more came`,
    );
  const announced = Number(response.headers.get("content-length") ?? 0);
  // A compressed body's length is another one than that of the bytes it holds.
  if (announced > limit && response.headers.get("content-encoding") === null) {
    await response.body?.cancel();
    throw tooLong(announced);
  }
  const whole = new Uint8Array(limit);
  let length = 0;
  if (response.body === null) return whole.subarray(0, 0);
  const reader = response.body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return whole.subarray(0, length);
      if (length + value.length > limit) {
        await reader.cancel();
        throw tooLong(length + value.length);
      }
      whole.set(value, length);
      length += value.length;
    }
  } catch (error) {
    throw isFederatedError(error) ? error : unreachable(error);
  }
}

/** The body as JSON; undefined when it is none, or longer than an answer has reason to be. */
export async function readJson(response: Response, limit = MAX_JSON_BYTES): Promise<unknown> {
  let bytes: Uint8Array;
  try {
    bytes = await readBytes(response, limit);
  } catch (error) {
    if (isFederatedError(error) && error.code === "CHECKPOINT_CORRUPT") return undefined;
    throw error;
  }
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as unknown;
  } catch {
    return undefined;
  }
}

function parseReceipt(value: unknown): Receipt {
  if (isReceipt(value)) return value;
  // Something between us and the coordinator answered: nobody knows whether the update arrived.
  throw new FederatedError("UNAVAILABLE", "the answer to the update is no receipt");
}

/** What a proxy in front of the coordinator means by its status. */
function codeOfStatus(status: number) {
  if (status === 401) return "UNAUTHENTICATED";
  if (status === 403) return "FORBIDDEN";
  if (status === 404) return "NOT_FOUND";
  if (status === 413) return "UPDATE_TOO_LARGE";
  if (status === 429) return "RATE_LIMITED";
  return status >= 500 || status === 408 ? "UNAVAILABLE" : "MALFORMED_MESSAGE";
}

/** What a refusal says, whoever it comes from. */
export async function errorOf(response: Response): Promise<FederatedError> {
  const body = await readJson(response);
  const retryAfterMs = parseRetryAfter(response.headers.get("retry-after"));
  const pause = retryAfterMs === undefined ? {} : { retryAfterMs };
  if (typeof body === "object" && body !== null && "code" in body && isErrorCode(body.code)) {
    return fromErrorPayload({ ...pause, ...body });
  }
  return new FederatedError(
    codeOfStatus(response.status),
    `HTTP status ${response.status} without a reason that Tributary knows`,
    pause,
  );
}

/** RFC 9110, 10.2.3: seconds, or the instant itself. */
function parseRetryAfter(header: string | null): number | undefined {
  if (header === null) return undefined;
  const ms = /^\d+$/.test(header.trim()) ? 1000 * Number(header) : Date.parse(header) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
}
