/** Files of blobs under a key: what is written and read of each, and how a whole directory comes under it. */

import { open, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

import type { Digest } from "@tributary/protocol";
import { FederatedError, isDigest } from "@tributary/protocol";

import { isMissing, writeWhole } from "./directory.ts";
import type { KeyRing } from "./seal.ts";
import { keyIdOf, openSealed, SEAL_HEADER_BYTES } from "./seal.ts";

/** How a blob becomes a file, and a file a blob. */
export interface BlobFormat {
  encode(digest: Digest, bytes: Uint8Array): Uint8Array;
  /** @returns undefined for sealed bytes that do not open: changed, of another name, of another key */
  decode(digest: Digest, file: Uint8Array): Uint8Array | undefined;
  /** Is the file what would be written now, but for its nonce? */
  isCurrent(file: Uint8Array): boolean;
}

/** Says under which key every file of the directory is. */
const MARKER = "encrypted-with";
const FOLDER = /^[0-9a-f]{2}$/;
const placeOf = (digest: Digest) => `blob ${digest}`;

/** The format of files under these keys; of plain files without. */
export function blobFormat(keys: KeyRing | undefined): BlobFormat {
  if (keys === undefined) {
    return { encode: (_, bytes) => bytes, decode: (_, file) => file, isCurrent: () => true };
  }
  const { current } = keys;
  return {
    encode: (digest, bytes) => current.seal(placeOf(digest), bytes),
    decode: (digest, file) =>
      keyIdOf(file) === undefined ? file : openSealed(keys, placeOf(digest), file),
    isCurrent: (file) => keyIdOf(file) === current.keyId,
  };
}

/**
 * Brings every file under the current key, one after the other, each whole or not at all: a crash in between
 * is gone on from at the next start. Costs one small read once that is done.
 * @returns how many files were written anew
 * @throws FederatedError CONFIG_INVALID when the files are under a key that is not at hand
 */
export async function sealDirectory(directory: string, keys: KeyRing | undefined): Promise<number> {
  const marker = join(directory, MARKER);
  const keyId = await readMarker(marker);
  if (keys === undefined) {
    if (keyId === undefined) return 0;
    throw new FederatedError(
      "CONFIG_INVALID",
      `${directory} is encrypted and storage.encryptionKey is not set: set TRIBUTARY_STORAGE_ENCRYPTION_KEY or TRIBUTARY_STORAGE_ENCRYPTION_KEY_FILE to its key`,
    );
  }
  const { current } = keys;
  if (keyId === current.keyId) return 0;
  const format = blobFormat(keys);
  let count = 0;
  for (const { digest, file } of await filesToSeal(directory, keys)) {
    // Bytes that are damaged stay so, and are told of when somebody asks for them.
    const bytes = format.decode(digest, await readFile(file));
    if (bytes === undefined) continue;
    await writeWhole(file, format.encode(digest, bytes));
    count += 1;
  }
  await writeWhole(marker, Buffer.from(`${current.keyId}\n`));
  return count;
}

/**
 * Looks at every file before anything is brought under a key: data of which a part cannot be opened would be
 * under more keys than a start can be given.
 * @throws FederatedError CONFIG_INVALID
 */
export async function assertOpenable(directory: string, keys: KeyRing | undefined): Promise<void> {
  if (keys === undefined || (await readMarker(join(directory, MARKER))) === keys.current.keyId)
    return;
  await filesToSeal(directory, keys);
}

/** Files that are not under the current key yet. */
async function filesToSeal(directory: string, { current, previous }: KeyRing) {
  const files: { readonly digest: Digest; readonly file: string }[] = [];
  for (const digest of await listBlobs(directory)) {
    const file = join(directory, digest.slice(0, 2), digest);
    const sealedWith = keyIdOf(await readHeader(file));
    if (sealedWith === current.keyId) continue;
    if (sealedWith !== undefined && sealedWith !== previous?.keyId) {
      throw new FederatedError(
        "CONFIG_INVALID",
        `${file} is encrypted with neither storage.encryptionKey nor storage.previousEncryptionKey: set the latter to the former key until a start has changed all files`,
      );
    }
    files.push({ digest, file });
  }
  return files;
}

/** Every digest that has a file; none where there is no directory yet. */
export async function listBlobs(directory: string): Promise<Digest[]> {
  const digests: Digest[] = [];
  let folders: string[];
  try {
    folders = await readdir(directory);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
  for (const folder of folders.filter((name) => FOLDER.test(name))) {
    for (const name of await readdir(join(directory, folder)).catch(() => [])) {
      if (isDigest(name) && name.startsWith(folder)) digests.push(name);
    }
  }
  return digests;
}

async function readMarker(file: string): Promise<string | undefined> {
  try {
    return (await readFile(file, "utf8")).trim();
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

async function readHeader(file: string): Promise<Uint8Array> {
  const handle = await open(file, "r");
  try {
    const header = Buffer.alloc(SEAL_HEADER_BYTES);
    const { bytesRead } = await handle.read(header, 0, SEAL_HEADER_BYTES, 0);
    return header.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}
