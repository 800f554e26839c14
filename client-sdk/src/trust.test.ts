import type { Digest, KeyRecord, SigningKey, TaskId } from "@tributary/protocol";
import { FederatedError, sha256, signKeyRecord } from "@tributary/protocol";
import { expect, test } from "vitest";

import { signFor, testKey } from "../../test/support/signing.ts";
import type { ModelCache } from "./cache.ts";
import { createMemoryCache } from "./cache.ts";
import type { TrustOptions, VersionInUse } from "./trust.ts";
import { createTrust } from "./trust.ts";

const ORIGIN = "https://coordinator.example";
const AT = "2026-01-02T03:04:05.678Z";
const untrusted = expect.objectContaining({ code: "MODEL_UNTRUSTED", retryable: false });
const options = { signal: new AbortController().signal };

const [K1, K2, K3, K4, THIEF] = (await Promise.all([1, 2, 3, 4, 9].map(testKey))) as [
  SigningKey,
  SigningKey,
  SigningKey,
  SigningKey,
  SigningKey,
];

/** Version 7 of a task, signed by the key. */
async function signedBy(key: SigningKey): Promise<VersionInUse> {
  const taskId = "t" as TaskId;
  const layoutDigest = "1".repeat(64) as Digest;
  const subject = { modelVersion: 7, digest: "2".repeat(64) as Digest, bytes: 100 };
  const signed = await signFor(key, { ...subject, taskId, layoutDigest });
  return { taskId, layoutDigest, checkpoint: { ...subject, signed } };
}

/** The records of keys that hand over to one another. */
async function chainOf(...keys: readonly SigningKey[]): Promise<KeyRecord[]> {
  const records: KeyRecord[] = [];
  for (const [i, { publicKey }] of keys.entries()) {
    const before = keys[i - 1];
    records.push(
      before === undefined
        ? { publicKey, createdAt: AT }
        : await signKeyRecord(publicKey, AT, before),
    );
  }
  return records;
}

type TrustPlace = Pick<ModelCache, "getTrust" | "putTrust">;

function client(
  trustOptions?: TrustOptions,
  { cache }: { readonly cache: TrustPlace } = { cache: createMemoryCache() },
) {
  const world = {
    cache,
    chain: [] as readonly KeyRecord[],
    fetches: 0,
    fault: undefined as FederatedError | undefined,
  };
  const getKeys = async () => {
    world.fetches += 1;
    if (world.fault !== undefined) throw world.fault;
    return world.chain;
  };
  return Object.assign(world, createTrust({ origin: ORIGIN, cache, getKeys }, trustOptions));
}

test("[SIG20] pinned keys are trusted, and no other, not even the first that is seen", async () => {
  const trust = client({ publicKeys: [K1.publicKey, K2.publicKey] });
  await expect(trust.verifyReceived(await signedBy(THIEF), options)).rejects.toEqual(untrusted);
  await expect(trust.verifyReceived(await signedBy(THIEF), options)).rejects.toThrow(
    new RegExp(`${THIEF.publicKey}.*${K1.publicKey}, ${K2.publicKey} \\(pinned`),
  );
  for (const key of [K1, K2]) {
    expect(await trust.verifyReceived(await signedBy(key), options)).toMatchObject({
      modelVersion: 7,
    });
  }
  // Nothing was learnt that a pin would have to outweigh.
  expect(await trust.cache.getTrust(ORIGIN)).toBeUndefined();
});

test("[SIG20] pins outweigh what was remembered, and no pin at all is refused", async () => {
  const before = client();
  await before.verifyReceived(await signedBy(K1), options);
  const trust = client({ publicKeys: [K2.publicKey] }, before);
  await expect(trust.verifyReceived(await signedBy(K1), options)).rejects.toEqual(untrusted);
  await expect(trust.verifyCached(await signedBy(K1))).rejects.toEqual(untrusted);
  await trust.verifyReceived(await signedBy(K2), options);
  for (const publicKeys of [[], ["x"], [K1.publicKey, `${K1.publicKey}=`], ["_".repeat(43)]]) {
    expect(() => client({ publicKeys })).toThrow(
      expect.objectContaining({ code: "CONFIG_INVALID" }),
    );
  }
});

test("[SIG21] the first key that signs a model is trusted, remembered, and no other after it", async () => {
  const trust = client();
  await trust.verifyReceived(await signedBy(K1), options);
  await expect(trust.verifyReceived(await signedBy(THIEF), options)).rejects.toEqual(untrusted);
  await trust.verifyReceived(await signedBy(K1), options);
  expect(trust.fetches).toBe(1);
  const again = client(undefined, trust);
  await expect(again.verifyReceived(await signedBy(THIEF), options)).rejects.toEqual(untrusted);
  await again.verifyReceived(await signedBy(K1), options);
  await again.verifyCached(await signedBy(K1));
});

test("[SIG21] of two keys that come at once only one is the first", async () => {
  const memory = createMemoryCache();
  let asking = 0;
  const cache = {
    ...memory,
    getTrust: async (origin: string) => {
      asking += 1;
      // The answer stays away until both could have asked, if nothing kept the second one from it.
      for (let i = 0; i < 200 && asking < 2; i++) await sha256(new Uint8Array(1));
      return memory.getTrust(origin);
    },
  };
  const trust = client(undefined, { cache });
  const both = await Promise.allSettled([
    trust.verifyReceived(await signedBy(K1), options),
    trust.verifyReceived(await signedBy(THIEF), options),
  ]);
  expect(both.map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
});

test("[SIG21] a model that is not what its manifest says makes no key the first", async () => {
  const trust = client();
  const version = await signedBy(THIEF);
  const other = { ...version, checkpoint: { ...version.checkpoint, modelVersion: 8 } };
  await expect(trust.verifyReceived(other, options)).rejects.toEqual(untrusted);
  expect(await trust.cache.getTrust(ORIGIN)).toBeUndefined();
  await trust.verifyReceived(await signedBy(K1), options);
});

test("[SIG21] a cached model makes no key the first", async () => {
  const trust = client();
  await expect(trust.verifyCached(await signedBy(K1))).rejects.toEqual(untrusted);
  expect(await trust.cache.getTrust(ORIGIN)).toBeUndefined();
});

test("[SIG22] a key that was handed over to is trusted, over any number of changes, and remembered", async () => {
  const chain = await chainOf(K1, K2, K3, K4);
  for (const pins of [undefined, { publicKeys: [K1.publicKey] }]) {
    const trust = client(pins);
    trust.chain = chain;
    await trust.verifyReceived(await signedBy(K1), options);
    expect(trust.fetches).toBe(0);
    await trust.verifyReceived(await signedBy(K2), options);
    await trust.verifyReceived(await signedBy(K2), options);
    expect(trust.fetches).toBe(1);
    // Away for two changes.
    await trust.verifyReceived(await signedBy(K4), options);
    expect(trust.fetches).toBe(2);

    const offline = client(pins, trust);
    offline.fault = new FederatedError("UNAVAILABLE", "offline");
    await offline.verifyCached(await signedBy(K4));
    await offline.verifyReceived(await signedBy(K4), options);
    expect(offline.fetches).toBe(0);
  }
});

test("[SIG22] a key that was replaced is good for what is cached, and for nothing new", async () => {
  const trust = client();
  trust.chain = await chainOf(K1, K2);
  await trust.verifyReceived(await signedBy(K1), options);
  await trust.verifyReceived(await signedBy(K2), options);
  await expect(trust.verifyReceived(await signedBy(K1), options)).rejects.toEqual(untrusted);
  await trust.verifyCached(await signedBy(K1));
  // Whoever stole it cannot hand over to a key of their own.
  trust.chain = await chainOf(K1, THIEF);
  await expect(trust.verifyReceived(await signedBy(THIEF), options)).rejects.toEqual(untrusted);
});

test("[SIG22] a chain that breaks, or is not told, is no chain", async () => {
  const trust = client();
  await trust.verifyReceived(await signedBy(K1), options);
  const [first, second, third] = await chainOf(K1, K2, K3);
  const forged = await signKeyRecord(K2.publicKey, AT, THIEF);
  const previous = { ...second!.previous!, signature: forged.previous!.signature };
  for (const chain of [[], [first!, third!], [first!, { ...second!, previous }, third!]]) {
    trust.chain = chain;
    await expect(trust.verifyReceived(await signedBy(K3), options)).rejects.toEqual(untrusted);
  }
  trust.fault = new FederatedError("NOT_FOUND", "no such path");
  await expect(trust.verifyReceived(await signedBy(K3), options)).rejects.toEqual(untrusted);
  // The network's faults are not the coordinator's: a later try may go better.
  trust.fault = new FederatedError("UNAVAILABLE", "offline");
  await expect(trust.verifyReceived(await signedBy(K3), options)).rejects.toMatchObject({
    code: "UNAVAILABLE",
    retryable: true,
  });
  await trust.verifyReceived(await signedBy(K1), options);
});

test("[SIG22] what another process has learnt is taken from the cache", async () => {
  const one = client();
  const two = client(undefined, one);
  one.chain = await chainOf(K1, K2);
  await one.verifyReceived(await signedBy(K1), options);
  await two.verifyReceived(await signedBy(K1), options);
  await one.verifyReceived(await signedBy(K2), options);
  await two.verifyReceived(await signedBy(K2), options);
  expect([one.fetches, two.fetches]).toEqual([1, 0]);
});

test("[SIG23] without a place for its first key that can be read and written, nothing is trusted", async () => {
  const broken = () => Promise.reject(new Error("disk failure"));
  const damaged = () => Promise.reject(new FederatedError("CONFIG_INVALID", "damaged"));
  const empty = async () => undefined;
  const done = async () => undefined;
  for (const [cache, code] of [
    [{ getTrust: broken, putTrust: done }, "UNAVAILABLE"],
    [{ getTrust: damaged, putTrust: done }, "CONFIG_INVALID"],
    [{ getTrust: empty, putTrust: broken }, "UNAVAILABLE"],
  ] as const) {
    const trust = client(undefined, { cache });
    for (let i = 0; i < 2; i++) {
      await expect(trust.verifyReceived(await signedBy(K1), options)).rejects.toMatchObject({
        code,
      });
    }
    const pinned = client({ publicKeys: [K1.publicKey] }, { cache });
    await pinned.verifyReceived(await signedBy(K1), options);
  }
});
