/**
 * Blobs of which some may be deleted, without ever deleting what a version is about to refer to.
 *
 * Bytes are put before the transaction that names them, and the same bytes may belong to several versions.
 * So whatever was put is held until it is settled, and nothing is deleted while a put is under way.
 */

import type { Digest } from "@tributary/protocol";

import type { BlobStore } from "../ports.ts";

export interface BlobKeeper extends Omit<BlobStore, "delete"> {
  /** Bytes that were put: a version refers to them now, or none ever will. Once for each put. */
  settle(digest: Digest): void;
  /**
   * Deletes blobs that nothing refers to. What cannot go now is tried again with the next call; what is
   * never tried again stays as a file that harms nobody.
   */
  discard(digests: readonly Digest[]): Promise<void>;
  /** Nothing is deleted until the returned function is called: a backup copies what it has seen. */
  holdAll(): () => void;
}

export function createBlobKeeper(
  blobs: BlobStore,
  isReferenced: (digest: Digest) => Promise<boolean>,
): BlobKeeper {
  const held = new Map<Digest, number>();
  const doomed = new Set<Digest>();
  let putting = 0;
  let holders = 0;
  let deletion: Promise<void> | undefined;

  const deleteOne = async (digest: Digest): Promise<void> => {
    if (!(await isReferenced(digest))) await blobs.delete(digest);
    doomed.delete(digest);
  };

  return {
    get: blobs.get,
    put: async (bytes) => {
      // The file might be seen by this put and be gone a moment later.
      while (deletion !== undefined) await deletion.catch(() => undefined);
      putting += 1;
      try {
        const digest = await blobs.put(bytes);
        held.set(digest, (held.get(digest) ?? 0) + 1);
        return digest;
      } finally {
        putting -= 1;
      }
    },
    settle: (digest) => {
      const left = (held.get(digest) ?? 0) - 1;
      if (left > 0) held.set(digest, left);
      else held.delete(digest);
    },
    discard: async (digests) => {
      for (const digest of digests) doomed.add(digest);
      for (const digest of [...doomed]) {
        while (deletion !== undefined) await deletion.catch(() => undefined);
        if (putting > 0 || holders > 0 || held.has(digest)) continue;
        deletion = deleteOne(digest);
        try {
          await deletion;
        } finally {
          deletion = undefined;
        }
      }
    },
    holdAll: () => {
      holders += 1;
      let holds = true;
      return () => {
        if (holds) holders -= 1;
        holds = false;
      };
    },
  };
}
