/** How a coordinator changes its signing key: the key before signs the one after it, a chain that only grows. */

import type { PublicKey } from "./ids.ts";
import { isPublicKey } from "./ids.ts";
import type { SigningKey } from "./signature.ts";
import { verifySignature } from "./signature.ts";

export interface KeyRecord {
  readonly publicKey: PublicKey;
  readonly createdAt: string;
  /** The key before, and its signature of this record; absent for a coordinator's first key. */
  readonly previous?: { readonly publicKey: PublicKey; readonly signature: string };
}

/** What `GET /v1/keys` answers: oldest first, the last one signs now. */
export interface KeysResource {
  readonly keys: readonly KeyRecord[];
}

/** So many keys has a coordinator at most: clients read the whole chain. Weekly changes for ten years. */
export const MAX_KEYS = 520;

/** The records among whatever a coordinator or a file gave; what is none is left out. */
export function parseKeys(value: unknown): readonly KeyRecord[] {
  return Array.isArray(value) ? value.filter(isKeyRecord) : [];
}

function isKeyRecord(value: unknown): value is KeyRecord {
  if (typeof value !== "object" || value === null) return false;
  const { publicKey, createdAt, previous } = value as Partial<Record<string, unknown>>;
  if (!isPublicKey(publicKey) || typeof createdAt !== "string") return false;
  if (previous === undefined) return true;
  if (typeof previous !== "object" || previous === null) return false;
  const signer = previous as Partial<Record<string, unknown>>;
  return isPublicKey(signer.publicKey) && typeof signer.signature === "string";
}

/** Begins what is signed, so that no other signature of the same key can be taken for one of a record. */
const DOMAIN = "tributary key record v1";

function messageOf(publicKey: PublicKey, createdAt: string, previous: PublicKey): Uint8Array {
  return new TextEncoder().encode(`${DOMAIN}\n${publicKey}\n${createdAt}\n${previous}`);
}

/** The record that hands over from `previous` to `publicKey`. */
export async function signKeyRecord(
  publicKey: PublicKey,
  createdAt: string,
  previous: SigningKey,
): Promise<KeyRecord> {
  const signature = await previous.sign(messageOf(publicKey, createdAt, previous.publicKey));
  return { publicKey, createdAt, previous: { publicKey: previous.publicKey, signature } };
}

/**
 * The hand-overs that lead from a trusted key to `wanted`, oldest first; undefined where there is no
 * unbroken chain of genuine signatures.
 */
export async function followKeys(
  records: readonly KeyRecord[],
  isTrusted: (publicKey: PublicKey) => boolean,
  wanted: PublicKey,
): Promise<readonly KeyRecord[] | undefined> {
  const path: KeyRecord[] = [];
  for (let at = wanted; !isTrusted(at);) {
    const record = records.find((candidate) => candidate.publicKey === at);
    // A path that is as long as the list goes in a circle.
    if (record?.previous === undefined || path.length === records.length) return undefined;
    if (!(await isGenuine(record))) return undefined;
    path.unshift(record);
    at = record.previous.publicKey;
  }
  return path;
}

async function isGenuine({ publicKey, createdAt, previous }: KeyRecord): Promise<boolean> {
  if (previous === undefined) return false;
  const message = messageOf(publicKey, createdAt, previous.publicKey);
  return verifySignature(previous.publicKey, previous.signature, message);
}
