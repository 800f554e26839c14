/**
 * The cache of models in the device's database: one record for the newest version of each task and for each copy of it, which another one
 * replaces in one transaction, and the keys that each coordinator is trusted with.
 */

import type { Digest } from "@tributary/protocol";
import { FederatedError } from "@tributary/protocol";

import type { CachedModel, ModelCache } from "../cache.ts";
import { placeOf } from "../cache.ts";
import { sha256InTurns } from "../digest-in-turns.ts";
import { readStoredModel, readTrustedKeys } from "../stored-model.ts";
import { fromKept, toKept } from "./kept-bytes.ts";
import type { StoredModel } from "./database.ts";
import type { Person } from "./person.ts";

export function createDatabaseCache(person: Person): ModelCache {
  /** What is damaged is removed and counts as missing. */
  async function verify(stored: StoredModel | undefined): Promise<CachedModel | undefined> {
    if (stored === undefined) return undefined;
    const model = await readStoredModel(stored);
    // Of a Blob the browser may have lost the bytes.
    const frame = await fromKept(stored.frame).catch(() => undefined);
    if (
      model !== undefined &&
      frame !== undefined &&
      (await isOf(frame, model.checkpoint.digest))
    ) {
      return { ...model, frame };
    }
    const isSame = (now: StoredModel | undefined) => versionOf(now) === versionOf(stored);
    await person.write(async (tx) => {
      const models = tx.objectStore("models");
      // Not what another tab has put in its place meanwhile.
      if (isSame(await models.get(stored.taskId))) await models.delete(stored.taskId);
    }, "relaxed");
    return undefined;
  }

  return {
    get: async (taskId, encoding) =>
      verify(await person.read((tx) => tx.objectStore("models").get(placeOf(taskId, encoding)))),
    getFrame: async (digest) => {
      const stored = await person.read((tx) =>
        tx.objectStore("models").index("digest").get(digest),
      );
      return (await verify(stored))?.frame;
    },
    put: async (taskId, { layout, checkpoint, copyOf, frame }) => {
      const kept = await toKept(frame);
      const place = placeOf(taskId, copyOf?.encoding);
      await person.write(async (tx) => {
        const { modelVersion, digest, bytes, signed } = checkpoint;
        const models = tx.objectStore("models");
        const newer = IDBKeyRange.bound([place, modelVersion + 1], [place, Infinity]);
        if ((await models.index("version").count(newer)) > 0) return;
        await models.put({
          taskId: place,
          layout,
          checkpoint: { modelVersion, digest, bytes, signed },
          ...(copyOf && { copyOf }),
          frame: kept,
        });
      }, "relaxed");
    },
    getTrust: async (origin) => {
      const stored: unknown = await person.read((tx) => tx.objectStore("trust").get(origin));
      if (stored === undefined) return undefined;
      const keys = await readTrustedKeys(stored);
      if (keys !== undefined) return keys;
      throw new FederatedError(
        "CONFIG_INVALID",
        `this browser's record of the keys that ${origin} is trusted with is damaged; pin the keys instead ` +
          "(trust.publicKeys), or have the person forget themselves to trust the next key that is seen",
      );
    },
    putTrust: (origin, keys) =>
      person.write(async (tx) => {
        await tx.objectStore("trust").put(keys, origin);
      }),
  };
}

/** As far as a record that may be damaged tells. */
const versionOf = (stored: Partial<StoredModel> | undefined) => stored?.checkpoint?.modelVersion;

const isOf = async (frame: unknown, digest: Digest): Promise<boolean> =>
  frame instanceof Uint8Array && (await sha256InTurns(frame)) === digest;
