/**
 * Content-addressed files: `<directory>/<first two digits>/<digest>`, whole or not there at all.
 *
 * A file gets its name only after its bytes are on disk (write aside, fsync, rename, fsync of the directory),
 * so a crash can leave a stray temporary file, never half a checkpoint under a good name.
 */

import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";

import type { Digest } from "@tributary/protocol";
import { FederatedError, isDigest, isFederatedError, sha256 } from "@tributary/protocol";

import type { BlobStore } from "../ports.ts";
import { makeDirectory, syncDirectory, writeWhole } from "./directory.ts";
import type { KeyRing } from "./seal.ts";
import { blobFormat, sealDirectory } from "./sealed-blobs.ts";

export interface FileBlobsOptions {
  readonly directory: string;
  /** Files are sealed with the current key, those that are not yet when this opens the directory. */
  readonly keys?: KeyRing;
  /** Told how many files came under the key. */
  readonly onSealed?: (count: number) => void;
}

const TEMPORARY = /^([0-9a-f]{64}|encrypted-with)\.[0-9a-f-]{36}\.tmp$/;
const FOLDER = /^[0-9a-f]{2}$/;
const NOTHING = new Uint8Array();

/**
 * Opens the directory, makes it where there is none, and removes what a crash left behind. One process at a
 * time; the store's lock sees to that. Bytes given to `put` must not change until it resolves.
 * @throws FederatedError UNAVAILABLE when the directory cannot be used, CONFIG_INVALID when it is encrypted
 * with a key that is not at hand
 */
export async function createFileBlobs(options: FileBlobsOptions): Promise<BlobStore> {
  const { directory, keys, onSealed } = options;
  const format = blobFormat(keys);
  try {
    await makeDirectory(directory);
    await removeTemporaries(directory);
    const sealed = await sealDirectory(directory, keys);
    if (sealed > 0) onSealed?.(sealed);
  } catch (error) {
    if (isFederatedError(error)) throw error;
    const reason = error instanceof Error ? error.message : "unknown";
    const message = `the checkpoint directory ${directory} cannot be used: ${reason}`;
    throw new FederatedError("UNAVAILABLE", message, { cause: error });
  }

  const folderOf = (digest: Digest) => join(directory, digest.slice(0, 2));
  const fileOf = (digest: Digest) => join(folderOf(digest), digest);

  return {
    put: async (bytes) => {
      const digest = await sha256(bytes);
      return onDisk(`checkpoint ${digest} cannot be written`, async () => {
        const folder = folderOf(digest);
        await mkdir(folder, { recursive: true });
        // What cannot be read is as good as damaged: either way the bytes at hand replace it.
        const existing = await readIfThere(fileOf(digest)).catch(() => undefined);
        const isGood =
          existing !== undefined &&
          format.isCurrent(existing) &&
          Buffer.compare(format.decode(digest, existing) ?? NOTHING, bytes) === 0;
        if (!isGood) await writeWhole(fileOf(digest), format.encode(digest, bytes));
        // The file may be of a put that has not come this far, or never did.
        await syncDirectory(folder);
        await syncDirectory(directory);
        return digest;
      });
    },
    get: async (digest) => {
      // A digest is a file's name here: nothing else may become a path.
      if (!isDigest(digest)) return undefined;
      return onDisk(`checkpoint ${digest} cannot be read`, async () => {
        const file = await readIfThere(fileOf(digest));
        if (file === undefined) return undefined;
        const bytes = format.decode(digest, file);
        if (bytes === undefined) {
          throw new FederatedError(
            "CHECKPOINT_CORRUPT",
            `the file of checkpoint ${digest} was changed, cut, or encrypted for another name or with another key; restore it from a backup`,
          );
        }
        const found = await sha256(bytes);
        if (found !== digest) {
          throw new FederatedError(
            "CHECKPOINT_CORRUPT",
            `the file of checkpoint ${digest} holds bytes of digest ${found}; restore it from a backup`,
          );
        }
        return bytes;
      });
    },
    delete: async (digest) => {
      if (!isDigest(digest)) return;
      await onDisk(`checkpoint ${digest} cannot be deleted`, () =>
        rm(fileOf(digest), { force: true }),
      );
    },
  };
}

async function readIfThere(file: string): Promise<Uint8Array | undefined> {
  try {
    const { buffer, byteOffset, byteLength } = await readFile(file);
    return new Uint8Array(buffer, byteOffset, byteLength);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

async function removeTemporaries(directory: string): Promise<void> {
  const folders = (await readdir(directory)).filter((name) => FOLDER.test(name));
  for (const folder of [".", ...folders]) {
    for (const name of await readdir(join(directory, folder))) {
      if (TEMPORARY.test(name)) await rm(join(directory, folder, name), { force: true });
    }
  }
}

/** Paths stay in the cause: the message may reach a client. */
async function onDisk<T>(failure: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (isFederatedError(error)) throw error;
    const code = error instanceof Error && "code" in error ? String(error.code) : "unknown error";
    throw new FederatedError("UNAVAILABLE", `${failure}: ${code}`, { cause: error });
  }
}
