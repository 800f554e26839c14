/** Enrolment tokens: what a coordinator issues so that clients whom it does not know yet may become its own. */

/**
 * 32 random bytes in base64url behind a prefix that tells people, programs and secret scanners what it is.
 * It is shown once, when it is made; the coordinator keeps its SHA-256.
 */
export const ENROLMENT_TOKEN_PATTERN = "^trbe_[A-Za-z0-9_-]{43}$";
/** What a token is called where it is listed and revoked; nothing of the token itself. */
export const ENROLMENT_TOKEN_ID_PATTERN = "^[0-9a-f]{16}$";
/** Words for people; no control characters, which a terminal would obey. */
export const ENROLMENT_LABEL_PATTERN = "^[^\\u0000-\\u001f\\u007f-\\u009f]{1,100}$";

const TOKEN = new RegExp(ENROLMENT_TOKEN_PATTERN);
export const isEnrolmentToken = (text: string): boolean => TOKEN.test(text);

export const MAX_ENROLMENT_USES = 1_000_000;
export const MAX_ENROLMENT_SPAN_MS = 366 * 86_400_000;

/** Why a token lets nobody in any more, or that it does. */
export type EnrolmentTokenState = "valid" | "usedUp" | "expired" | "revoked";

/** A token as the operator's API shows it: never the token, never who used it. */
export interface EnrolmentTokenResource {
  readonly tokenId: string;
  readonly label?: string;
  readonly state: EnrolmentTokenState;
  /** Clients that it lets in, at most. */
  readonly uses: number;
  /** Clients that it has let in. */
  readonly used: number;
  readonly createdAt: string;
  readonly expiresAt: string;
  readonly revokedAt?: string;
}

/** What the one answer says that has the token in it. */
export interface IssuedEnrolmentToken extends EnrolmentTokenResource {
  readonly token: string;
}

export interface EnrolmentTokenRequest {
  /** Default 1. */
  readonly uses?: number;
  /** Default seven days. */
  readonly expiresInMs?: number;
  readonly label?: string;
}
