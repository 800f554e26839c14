/** Errors on their way over a port: structured cloning keeps an error's text, but not its code. */

import type { ErrorPayload } from "@tributary/protocol";
import { fromErrorPayload, FederatedError, isFederatedError } from "@tributary/protocol";

interface PlainError {
  readonly name: string;
  readonly message: string;
  readonly stack?: string;
}

export type SentError =
  { readonly coded: ErrorPayload; readonly cause?: PlainError } | { readonly plain: PlainError };

/** Whatever was thrown, as something that can be cloned. */
export function packError(error: unknown): SentError {
  if (!isFederatedError(error)) return { plain: plainError(error) };
  const { details, ...payload } = error.toPayload();
  return {
    // Details are plain facts; JSON keeps all of those and nothing that could not travel.
    coded: { ...payload, ...(details === undefined ? {} : { details: asJson(details) }) },
    ...(error.cause === undefined ? {} : { cause: plainError(error.cause) }),
  };
}

/** The error as the other side threw it: code, message, `retryable` and details, or name, message and stack. */
export function unpackError(sent: SentError): Error {
  if ("plain" in sent) return toError(sent.plain);
  const { code, message, retryAfterMs, details } = fromErrorPayload(sent.coded);
  return new FederatedError(code, message, {
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(details === undefined ? {} : { details }),
    ...(sent.cause === undefined ? {} : { cause: toError(sent.cause) }),
  });
}

function plainError(error: unknown): PlainError {
  if (!(error instanceof Error)) return { name: "Error", message: textOf(error) };
  const { name, message, stack } = error;
  return { name, message, ...(stack === undefined ? {} : { stack }) };
}

function toError({ name, message, stack }: PlainError): Error {
  return Object.assign(new Error(message), { name, ...(stack === undefined ? {} : { stack }) });
}

function textOf(value: unknown): string {
  try {
    return String(value);
  } catch {
    return "something without a text was thrown";
  }
}

function asJson(details: Readonly<Record<string, unknown>>): Record<string, unknown> {
  try {
    return JSON.parse(JSON.stringify(details)) as Record<string, unknown>;
  } catch {
    return {};
  }
}
