/** What a lasting cache reads back, checked: a model's entry that is whole, and keys that follow from one another. */

import type { KeyRecord } from "@tributary/protocol";
import { createLayout, followKeys, isDigest, isPublicKey, parseKeys } from "@tributary/protocol";

import type { CachedModel, TrustedKeys } from "./cache.ts";

/** A cached model without its frame, which is verified by its digest. */
export type StoredModel = Omit<CachedModel, "frame">;

/** The entry, its layout computed anew from names and shapes; undefined for anything else. */
export async function readStoredModel(stored: unknown): Promise<StoredModel | undefined> {
  try {
    const { layout: described, checkpoint, copyOf } = stored as StoredModel;
    const layout = await createLayout(described.tensors);
    const { modelVersion, digest, bytes, signed } = checkpoint;
    const sound =
      layout.digest === described.digest &&
      isDigest(digest) &&
      Number.isInteger(modelVersion) &&
      Number.isInteger(bytes) &&
      // Of before there were signatures; the signature itself is verified by whoever uses it.
      (signed as unknown) !== undefined;
    if (!sound) return undefined;
    // What a copy is of is verified with the signature.
    return {
      layout,
      checkpoint: { modelVersion, digest, bytes, signed },
      ...(copyOf && { copyOf }),
    };
  } catch {
    return undefined;
  }
}

/** The keys, each vouched for by the one before; undefined for anything else. */
export async function readTrustedKeys(stored: unknown): Promise<TrustedKeys | undefined> {
  try {
    const { firstKey, successors: written } = stored as TrustedKeys;
    const successors: readonly KeyRecord[] = parseKeys(written);
    if (!isPublicKey(firstKey) || successors.length !== written.length) return undefined;
    const last = successors.at(-1)?.publicKey ?? firstKey;
    const path = await followKeys(successors, (key) => key === firstKey, last);
    return path?.length === successors.length ? { firstKey, successors } : undefined;
  } catch {
    return undefined;
  }
}
