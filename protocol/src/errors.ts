/** The one error type of both ends and the one table of its codes. */

interface ErrorRule {
  /** HTTP status of the code where it travels by HTTP. */
  readonly status: number;
  /** May the same request succeed later, unchanged? */
  readonly retryable: boolean;
}

/** code -> HTTP status and whether the same request may succeed later. */
export const ERROR_TABLE = {
  MALFORMED_MESSAGE: { status: 400, retryable: false },
  PROTOCOL_VERSION_UNSUPPORTED: { status: 426, retryable: false },
  UNAUTHENTICATED: { status: 401, retryable: false },
  FORBIDDEN: { status: 403, retryable: false },
  NOT_FOUND: { status: 404, retryable: false },
  TASK_NOT_FOUND: { status: 404, retryable: false },
  TASK_EXISTS: { status: 409, retryable: false },
  TASK_ENDED: { status: 409, retryable: false },
  ROUND_NOT_FOUND: { status: 404, retryable: false },
  MODEL_NOT_FOUND: { status: 404, retryable: false },
  NOT_IN_COHORT: { status: 403, retryable: false },
  ROUND_CLOSED: { status: 409, retryable: false },
  BACKUP_EXISTS: { status: 409, retryable: false },
  PAYLOAD_TOO_LARGE: { status: 413, retryable: false },
  MEDIA_TYPE_UNSUPPORTED: { status: 415, retryable: false },
  UPDATE_LAYOUT_MISMATCH: { status: 422, retryable: false },
  UPDATE_ENCODING_MISMATCH: { status: 422, retryable: false },
  ENCODING_UNSUPPORTED: { status: 422, retryable: false },
  UPDATE_NOT_FINITE: { status: 422, retryable: false },
  UPDATE_TOO_LARGE: { status: 413, retryable: false },
  UPDATE_CORRUPT: { status: 400, retryable: true },
  UPDATE_CONFLICT: { status: 409, retryable: false },
  PRIVACY_BUDGET_EXHAUSTED: { status: 409, retryable: false },
  RATE_LIMITED: { status: 429, retryable: true },
  UNAVAILABLE: { status: 503, retryable: true },
  CHECKPOINT_CORRUPT: { status: 502, retryable: true },
  MODEL_UNTRUSTED: { status: 502, retryable: false },
  CONFIG_INVALID: { status: 422, retryable: false },
  ABORTED: { status: 499, retryable: false },
  INTERNAL: { status: 500, retryable: true },
} as const satisfies Record<string, ErrorRule>;

export type ErrorCode = keyof typeof ERROR_TABLE;

export const ERROR_CODES = Object.keys(ERROR_TABLE) as readonly ErrorCode[];

/** What travels of an error: on socket acks as it is, on HTTP inside `application/problem+json`. */
export interface ErrorPayload {
  readonly code: ErrorCode;
  readonly message: string;
  readonly retryable: boolean;
  /** Milliseconds to wait before trying again; only where `retryable`. */
  readonly retryAfterMs?: number;
  /** Plain facts about the fault; never tensor data, never a token. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/** RFC 9457 problem details; `code` and the fields after it are Tributary's extension. */
export interface Problem extends ErrorPayload {
  readonly type: string;
  readonly title: string;
  readonly status: number;
}

export interface FederatedErrorOptions {
  readonly retryAfterMs?: number;
  readonly details?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

const BRAND = "tributary.FederatedError";

/** An error with a code of {@link ERROR_TABLE}. Recognise it with {@link isFederatedError}. */
export class FederatedError extends Error {
  override readonly name = "FederatedError";
  readonly brand = BRAND;
  readonly code: ErrorCode;
  readonly retryable: boolean;
  declare readonly retryAfterMs?: number;
  declare readonly details?: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, options: FederatedErrorOptions = {}) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.retryable = ERROR_TABLE[code].retryable;
    if (options.retryAfterMs !== undefined) this.retryAfterMs = options.retryAfterMs;
    if (options.details !== undefined) this.details = options.details;
  }

  /** HTTP status of the code. */
  get status(): number {
    return ERROR_TABLE[this.code].status;
  }

  toPayload(): ErrorPayload {
    return {
      code: this.code,
      message: this.message,
      retryable: this.retryable,
      ...(this.retryAfterMs === undefined ? {} : { retryAfterMs: this.retryAfterMs }),
      ...(this.details === undefined ? {} : { details: this.details }),
    };
  }

  toProblem(): Problem {
    return {
      type: `urn:tributary:error:${this.code}`,
      title: this.code.toLowerCase().replaceAll("_", " "),
      status: this.status,
      ...this.toPayload(),
    };
  }
}

/** By brand and not by `instanceof`, so that two copies of this package understand each other. */
export function isFederatedError(value: unknown): value is FederatedError {
  return value instanceof Error && "brand" in value && value.brand === BRAND;
}

export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === "string" && Object.hasOwn(ERROR_TABLE, value);
}

/**
 * Any thrown value as a FederatedError. What is not one becomes INTERNAL, and its own text stays in
 * `cause`: an unforeseen message may hold anything and is not shown to the other end.
 */
export function toFederatedError(value: unknown): FederatedError {
  if (isFederatedError(value)) return value;
  return new FederatedError("INTERNAL", "internal error; the log has the cause", { cause: value });
}

/** The error that a received payload describes; anything unreadable becomes INTERNAL. */
export function fromErrorPayload(value: unknown): FederatedError {
  if (typeof value !== "object" || value === null) {
    return new FederatedError("INTERNAL", "the peer answered with an unreadable error");
  }
  const { code, message, retryAfterMs, details } = value as Partial<Record<string, unknown>>;
  return new FederatedError(
    isErrorCode(code) ? code : "INTERNAL",
    typeof message === "string" ? message : "the peer gave no message",
    {
      ...(typeof retryAfterMs === "number" && retryAfterMs >= 0 ? { retryAfterMs } : {}),
      ...(typeof details === "object" && details !== null
        ? { details: details as Record<string, unknown> }
        : {}),
    },
  );
}
