/**
 * The signed statement about one model version: what it is, what it came from, how good and how private it is.
 * The text that was signed travels as it is and is never written anew to be verified.
 */

import { FederatedError } from "./errors.ts";
import type { Evaluation } from "./evaluation.ts";
import type { Digest, PublicKey, TaskId } from "./ids.ts";
import type { MatrixPrivacyResource, PrivacyResource } from "./resources.ts";
import type { ServingCopies } from "./serving-copy.ts";
import type { SigningKey } from "./signature.ts";
import { verifySignature } from "./signature.ts";

export const MANIFEST_FORMAT = 1;
/** A manifest has about 2 000 characters; more than this is not looked at. */
export const MAX_MANIFEST_CHARACTERS = 8192;

/** Begins what is signed, so that no other signature of the same key can be taken for one of a manifest. */
const DOMAIN = "tributary model manifest v1";

/** The promise as it stood with this version, in numbers and in words. */
export type ManifestPrivacy =
  | { readonly mechanism: "none"; readonly statement: string }
  | Omit<Extract<PrivacyResource, { mechanism: "central" }>, "taskId" | "roundsLeft">
  | Omit<Extract<PrivacyResource, { mechanism: "local" }>, "taskId">
  | Omit<MatrixPrivacyResource, "taskId" | "roundsLeft">;

export interface ModelManifest {
  readonly format: typeof MANIFEST_FORMAT;
  readonly taskId: TaskId;
  readonly modelVersion: number;
  /** SHA-256 and size of the checkpoint frame. */
  readonly digest: Digest;
  readonly bytes: number;
  readonly layoutDigest: Digest;
  /** The version that it was made from; absent for version 0, or where history was pruned before signing. */
  readonly parent?: { readonly modelVersion: number; readonly digest: Digest };
  /** Round that made it; absent for version 0. */
  readonly roundNumber?: number;
  readonly createdAt: string;
  /** What was known of its quality when it was signed; the figures of each class are left to the API. */
  readonly evaluation?: Omit<Evaluation, "perClass">;
  readonly privacy: ManifestPrivacy;
  /** Of the same version in fewer bits, where its task has such. */
  readonly copies?: ServingCopies;
}

export interface SignedManifest {
  /** The {@link ModelManifest} as JSON: exactly the text that was signed. */
  readonly manifest: string;
  /** The key that signed it. Whether to believe that key is the reader's question. */
  readonly publicKey: PublicKey;
  readonly signature: string;
}

/** What a manifest must say of a version for it to be that version's. */
export type ManifestSubject = Pick<
  ModelManifest,
  "taskId" | "modelVersion" | "digest" | "bytes" | "layoutDigest"
>;

const messageOf = (manifest: string) => new TextEncoder().encode(`${DOMAIN}\n${manifest}`);

/** The text that is signed. @throws RangeError when readers would refuse it for its size */
export function encodeManifest(manifest: ModelManifest): string {
  const text = JSON.stringify(manifest);
  if (text.length <= MAX_MANIFEST_CHARACTERS) return text;
  throw new RangeError(
    `the manifest has ${text.length} characters, readers take ${MAX_MANIFEST_CHARACTERS}`,
  );
}

/** @param manifest the text of {@link encodeManifest} */
export async function signManifest(manifest: string, key: SigningKey): Promise<SignedManifest> {
  const signature = await key.sign(messageOf(manifest));
  return { manifest, publicKey: key.publicKey, signature };
}

/**
 * The manifest, if its signature is genuine and it is about this very version. Says nothing about whose
 * key it is.
 * @throws FederatedError MODEL_UNTRUSTED
 */
export async function openManifest(
  signed: SignedManifest | undefined,
  subject: ManifestSubject,
): Promise<ModelManifest> {
  const { taskId, modelVersion } = subject;
  const refuse = (reason: string) =>
    new FederatedError(
      "MODEL_UNTRUSTED",
      `model version ${modelVersion} of "${taskId}" is not used: ${reason}`,
    );
  if (!isSigned(signed)) {
    throw refuse(
      "it came without a manifest that can be read; is the coordinator older than this?",
    );
  }
  const { manifest: text, publicKey, signature } = signed;
  if (text.length > MAX_MANIFEST_CHARACTERS) {
    throw refuse(
      `its manifest has ${text.length} characters, ${MAX_MANIFEST_CHARACTERS} are allowed`,
    );
  }
  if (!(await verifySignature(publicKey, signature, messageOf(text)))) {
    throw refuse(
      `its manifest does not carry a genuine signature of key ${publicKey.slice(0, 43)}`,
    );
  }
  const manifest = parse(text);
  if (manifest?.format !== MANIFEST_FORMAT) {
    throw refuse(`its manifest is not of format ${MANIFEST_FORMAT}; a newer client may read it`);
  }
  for (const field of ["taskId", "modelVersion", "digest", "bytes", "layoutDigest"] as const) {
    if (manifest[field] !== subject[field]) {
      throw refuse(`${field} is ${subject[field]}, its manifest was signed for ${manifest[field]}`);
    }
  }
  return manifest;
}

function isSigned(signed: unknown): signed is SignedManifest {
  if (typeof signed !== "object" || signed === null) return false;
  const { manifest, publicKey, signature } = signed as Partial<Record<string, unknown>>;
  return [manifest, publicKey, signature].every((part) => typeof part === "string");
}

function parse(text: string): ModelManifest | undefined {
  try {
    return (JSON.parse(text) as ModelManifest | null) ?? undefined;
  } catch {
    return undefined;
  }
}
