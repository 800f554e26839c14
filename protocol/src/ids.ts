/** Branded identifiers: strings that only a check can turn into the id they claim to be. */

import { FederatedError } from "./errors.ts";

declare const brand: unique symbol;
type Brand<Name extends string> = string & { readonly [brand]: Name };

/** Name of a task: lower-case letters, digits and hyphens, 1 to 63 characters. */
export type TaskId = Brand<"TaskId">;
/** One client identity, pseudonymous: assigned by the coordinator at check-in. */
export type ClientId = Brand<"ClientId">;
/** One round of one task: `<taskId>.<roundNumber>`. */
export type RoundId = Brand<"RoundId">;
/** SHA-256 as 64 lower-case hexadecimal digits. */
export type Digest = Brand<"Digest">;
/** 128 bits that tell bytes from others (`checksum.ts`), as 32 lower-case hexadecimal digits. */
export type Checksum = Brand<"Checksum">;
/** An Ed25519 public key, 32 bytes in base64url; the name of the key as well. */
export type PublicKey = Brand<"PublicKey">;

export const TASK_ID_PATTERN = "^[a-z0-9][a-z0-9-]{0,62}$";
export const CLIENT_ID_PATTERN = "^[A-Za-z0-9_-]{1,64}$";
export const ROUND_ID_PATTERN = "^[a-z0-9][a-z0-9-]{0,62}\\.[1-9][0-9]{0,14}$";
export const DIGEST_PATTERN = "^[0-9a-f]{64}$";
/** The last character holds four bits of the key and two zeros: one key, one text. */
export const PUBLIC_KEY_PATTERN = "^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$";

const matches = (pattern: string) => {
  const expression = new RegExp(pattern);
  return (value: unknown): boolean => typeof value === "string" && expression.test(value);
};
const matchesTaskId = matches(TASK_ID_PATTERN);
const matchesClientId = matches(CLIENT_ID_PATTERN);
const matchesRoundId = matches(ROUND_ID_PATTERN);
const matchesDigest = matches(DIGEST_PATTERN);
const matchesPublicKey = matches(PUBLIC_KEY_PATTERN);

export const isTaskId = (value: unknown): value is TaskId => matchesTaskId(value);
export const isClientId = (value: unknown): value is ClientId => matchesClientId(value);
export const isRoundId = (value: unknown): value is RoundId => matchesRoundId(value);
export const isDigest = (value: unknown): value is Digest => matchesDigest(value);
export const isPublicKey = (value: unknown): value is PublicKey => matchesPublicKey(value);

function refuse(what: string, rule: string, value: unknown): never {
  const shown = typeof value === "string" ? JSON.stringify(value.slice(0, 80)) : typeof value;
  throw new FederatedError("MALFORMED_MESSAGE", `${what} must match ${rule}, got ${shown}`);
}

/** @throws FederatedError MALFORMED_MESSAGE */
export function parseTaskId(value: unknown): TaskId {
  return isTaskId(value) ? value : refuse("task id", TASK_ID_PATTERN, value);
}

/** @throws FederatedError MALFORMED_MESSAGE */
export function parseClientId(value: unknown): ClientId {
  return isClientId(value) ? value : refuse("client id", CLIENT_ID_PATTERN, value);
}

/** @throws FederatedError MALFORMED_MESSAGE */
export function parseDigest(value: unknown): Digest {
  return isDigest(value) ? value : refuse("digest", DIGEST_PATTERN, value);
}

/** @throws FederatedError MALFORMED_MESSAGE */
export function parseRoundId(value: unknown): { taskId: TaskId; roundNumber: number } {
  if (!isRoundId(value)) return refuse("round id", ROUND_ID_PATTERN, value);
  const dot = value.lastIndexOf(".");
  return { taskId: parseTaskId(value.slice(0, dot)), roundNumber: Number(value.slice(dot + 1)) };
}

/** The id of round `roundNumber` (1, 2, …) of a task. */
export function roundIdOf(taskId: TaskId, roundNumber: number): RoundId {
  return `${taskId}.${roundNumber}` as RoundId;
}
