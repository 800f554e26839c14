/** What every cache of models promises (`ModelCache` in the SDK's `cache.ts`), as tests to run on each kind. */

import type { Layout, TaskId } from "@tributary/protocol";
import { createLayout, encodeCheckpoint, sha256, signKeyRecord } from "@tributary/protocol";
import { describe, expect, test } from "vitest";

import type { CachedModel, ModelCache, TrustedKeys } from "../../client-sdk/src/cache.ts";
import { signFor, testKey } from "../support/signing.ts";

export interface CacheUnderTest extends AsyncDisposable {
  readonly cache: ModelCache;
}

const TASK = "digits" as TaskId;
const OTHER = "other" as TaskId;
export const COORDINATOR = "https://coordinator.example:8443";
const AT = "2026-01-02T03:04:05.678Z";

/** A signed version of the task `digits`, three parameters of `value`. */
export async function modelOf(modelVersion: number, value = modelVersion): Promise<CachedModel> {
  const layout: Layout = await createLayout([{ name: "w", shape: [3] }]);
  const frame = encodeCheckpoint(layout, {
    modelVersion,
    weights: new Float32Array(3).fill(value),
  });
  const digest = await sha256(frame);
  const subject = { modelVersion, digest, bytes: frame.length };
  const of = { ...subject, taskId: TASK, layoutDigest: layout.digest };
  const signed = await signFor(await testKey(1), of);
  return { layout, frame, checkpoint: { ...subject, signed } };
}

/** Key 1, which handed over to 2, which handed over to 3. */
export async function trustedKeys(): Promise<TrustedKeys> {
  const [one, two, three] = [await testKey(1), await testKey(2), await testKey(3)];
  const successors = [
    await signKeyRecord(two.publicKey, AT, one),
    await signKeyRecord(three.publicKey, AT, two),
  ];
  return { firstKey: one.publicKey, successors };
}

export function modelCacheConformance(name: string, open: () => Promise<CacheUnderTest>): void {
  describe(`model cache: ${name}`, () => {
    test("[SV10] it holds the newest version of each task, and its frame by digest", async () => {
      await using under = await open();
      const { cache } = under;
      const [one, two, foreign] = [await modelOf(1), await modelOf(2), await modelOf(1, 7)];
      expect(await cache.get(TASK)).toBeUndefined();
      expect(await cache.getFrame(one.checkpoint.digest)).toBeUndefined();
      await cache.put(TASK, one);
      await cache.put(OTHER, foreign);
      await cache.put(TASK, two);
      await cache.put(TASK, one);
      const held = await cache.get(TASK);
      expect(held?.checkpoint).toEqual(two.checkpoint);
      expect(held?.layout).toEqual(two.layout);
      expect(new Uint8Array(held!.frame)).toEqual(two.frame);
      const other = await cache.getFrame(foreign.checkpoint.digest);
      expect(new Uint8Array(other!)).toEqual(foreign.frame);
      expect(await cache.getFrame(one.checkpoint.digest)).toBeUndefined();
    });

    test("[SV10] a frame that two tasks share stays until neither has it", async () => {
      await using under = await open();
      const { cache } = under;
      const shared = await modelOf(1);
      await cache.put(TASK, shared);
      await cache.put(OTHER, shared);
      await cache.put(TASK, await modelOf(2));
      expect((await cache.get(OTHER))?.checkpoint).toEqual(shared.checkpoint);
      expect(await cache.getFrame(shared.checkpoint.digest)).toBeDefined();
      await cache.put(OTHER, await modelOf(3));
      expect(await cache.getFrame(shared.checkpoint.digest)).toBeUndefined();
    });

    test("[SV10] the same version with other bytes takes the place of the former", async () => {
      await using under = await open();
      const { cache } = under;
      const [before, after] = [await modelOf(5, 1), await modelOf(5, 2)];
      await cache.put(TASK, before);
      await cache.put(TASK, after);
      expect((await cache.get(TASK))?.checkpoint).toEqual(after.checkpoint);
      expect(await cache.getFrame(before.checkpoint.digest)).toBeUndefined();
    });

    test("[SIG24] it holds the trusted keys of each coordinator", async () => {
      await using under = await open();
      const { cache } = under;
      const keys = await trustedKeys();
      expect(await cache.getTrust(COORDINATOR)).toBeUndefined();
      await cache.putTrust(COORDINATOR, { ...keys, successors: [] });
      await cache.putTrust(COORDINATOR, keys);
      // A task of any name, and another coordinator, are something else.
      await cache.put(TASK, await modelOf(1));
      await cache.putTrust("http://[::1]:80", { ...keys, successors: [] });
      expect(await cache.getTrust(COORDINATOR)).toEqual(keys);
      expect(await cache.getTrust("https://coordinator.example")).toBeUndefined();
    });
  });
}
