/**
 * A cache of models on disk: `<taskId>.json` names the newest version of a task, `<taskId>.<encoding>.json` its newest
 * copy, `<digest>.frame` is it, and
 * `<origin>.trust` holds the keys that a coordinator is trusted with. A model that is damaged is removed and
 * counts as a miss; keys that are damaged stay, and count as a fault.
 */

import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";

import type { Digest, ServingEncoding, TaskId } from "@tributary/protocol";
import { parseDigest, parseTaskId, sha256 } from "@tributary/protocol";

import type { ModelCache } from "../cache.ts";
import { placeOf } from "../cache.ts";
import { createSlot } from "../slot.ts";
import type { StoredModel } from "../stored-model.ts";
import { readStoredModel } from "../stored-model.ts";
import { isCode, writeDurably } from "./durable-file.ts";
import { readTrust, writeTrust } from "./trust-file.ts";

export interface FileCacheOptions {
  /** Made where it is missing. May be shared by the clients and processes of one machine. */
  readonly directory: string;
}

export function createFileCache({ directory }: FileCacheOptions): ModelCache {
  const entryPath = (taskId: TaskId, encoding: ServingEncoding | undefined) =>
    join(directory, `${placeOf(parseTaskId(taskId), encoding)}.json`);
  const framePath = (digest: Digest) => join(directory, `${parseDigest(digest)}.frame`);
  const trustPath = (origin: string) => join(directory, `${encodeURIComponent(origin)}.trust`);
  const writes = createSlot();
  const never = new AbortController().signal;

  async function readEntry(
    taskId: TaskId,
    encoding: ServingEncoding | undefined,
  ): Promise<StoredModel | undefined> {
    const path = entryPath(taskId, encoding);
    const bytes = await readOrMiss(path);
    if (bytes === undefined) return undefined;
    const entry = await parseEntry(bytes);
    if (entry === undefined) await rm(path, { force: true });
    return entry;
  }

  async function readFrame(digest: Digest): Promise<Uint8Array | undefined> {
    const path = framePath(digest);
    const frame = await readOrMiss(path);
    if (frame === undefined || (await sha256(frame)) === digest) return frame;
    await rm(path, { force: true });
    return undefined;
  }

  /** Removes a replaced version's frame, unless another task has the same. */
  async function removeFrame(digest: Digest): Promise<void> {
    for (const name of await readdir(directory)) {
      if (!name.endsWith(".json")) continue;
      const bytes = await readOrMiss(join(directory, name));
      const entry = bytes === undefined ? undefined : await parseEntry(bytes);
      if (entry?.checkpoint.digest === digest) return;
    }
    await rm(framePath(digest), { force: true });
  }

  return {
    get: async (taskId, encoding) => {
      const entry = await readEntry(taskId, encoding);
      if (entry === undefined) return undefined;
      const frame = await readFrame(entry.checkpoint.digest);
      return frame === undefined ? undefined : { ...entry, frame };
    },
    getFrame: readFrame,
    put: (taskId, { layout, checkpoint, copyOf, frame }) =>
      writes.run(never, async () => {
        const before = await readEntry(taskId, copyOf?.encoding);
        if (before !== undefined && before.checkpoint.modelVersion > checkpoint.modelVersion)
          return;
        const { modelVersion, digest, bytes, signed } = checkpoint;
        // The frame first: an entry never names a frame that was not there.
        await writeDurably(framePath(digest), frame);
        const entry: StoredModel = {
          ...{ layout, checkpoint: { modelVersion, digest, bytes, signed } },
          ...(copyOf === undefined ? {} : { copyOf }),
        };
        await writeDurably(entryPath(taskId, copyOf?.encoding), JSON.stringify(entry));
        if (before !== undefined && before.checkpoint.digest !== digest) {
          await removeFrame(before.checkpoint.digest);
        }
      }),
    getTrust: (origin) => readTrust(trustPath(origin)),
    putTrust: (origin, keys) => writes.run(never, () => writeTrust(trustPath(origin), keys)),
  };
}

async function readOrMiss(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (isCode(error, "ENOENT")) return undefined;
    throw error;
  }
}

async function parseEntry(bytes: Uint8Array): Promise<StoredModel | undefined> {
  try {
    return await readStoredModel(JSON.parse(new TextDecoder().decode(bytes)));
  } catch {
    return undefined;
  }
}
