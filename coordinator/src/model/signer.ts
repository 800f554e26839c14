/**
 * Signs model versions, and changes the key: the former key signs the next one, so that whoever trusts it
 * can follow. A version and its signature are saved together, and a change of key waits for that.
 */

import type { KeyRecord, SignedManifest, SigningKey } from "@tributary/protocol";
import { FederatedError, MAX_KEYS, signKeyRecord, signManifest } from "@tributary/protocol";

import type { Clock, Random, SigningKeys, Store, VersionSignature } from "../ports.ts";
import { createMailbox } from "../round/mailbox.ts";
import { manifestOf } from "./manifest.ts";
import { keyFromPem, seedName, storedKey } from "./signing-key.ts";

export interface SignerDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
}

export interface SignerOptions {
  /** The operator's own key as PKCS #8 PEM; absent: the coordinator makes keys and keeps them in the store. */
  readonly privateKey?: string;
  /** The operator's former key, so that it can hand over to another. */
  readonly previousPrivateKey?: string;
}

/** The keys with the side that only the coordinator itself may use. */
export interface ModelSigner extends SigningKeys {
  /**
   * Signs the manifest and lets `save` make it durable, before any other key can take over.
   * @returns what `save` gave
   */
  signAndSave<T>(manifest: string, save: (signed: SignedManifest) => Promise<T>): Promise<T>;
}

/** Versions of an old store that are signed in one transaction. */
const BATCH = 100;

/**
 * Opens the chain of keys, makes the first key where there is none, hands over where the operator's key has
 * changed, and signs what an older coordinator left unsigned.
 * @throws FederatedError CONFIG_INVALID when the newest key of the chain is not at hand
 */
export async function openSigner(
  deps: SignerDeps,
  { privateKey, previousPrivateKey }: SignerOptions,
): Promise<ModelSigner> {
  const { store, clock } = deps;
  const mailbox = createMailbox();
  const own =
    privateKey === undefined ? undefined : await keyFromPem(privateKey, "signing.privateKey");
  const former =
    previousPrivateKey === undefined
      ? undefined
      : await keyFromPem(previousPrivateKey, "signing.previousPrivateKey");
  let chain = await store.listSigningKeys();
  let current: SigningKey;

  const now = () => new Date(clock.now()).toISOString();

  /** The newest version of each task, signed by `key`. */
  async function signNewest(key: SigningKey): Promise<VersionSignature[]> {
    const signatures: VersionSignature[] = [];
    for (const { taskId } of await store.listTasks()) {
      const version = await store.latestModelVersion(taskId);
      // What has no signature yet is signed after this.
      if (version?.signed === undefined) continue;
      const { modelVersion, signed } = version;
      signatures.push({
        taskId,
        modelVersion,
        signed: await signManifest(signed.manifest, key),
      });
    }
    return signatures;
  }

  async function handOver(from: SigningKey, to: SigningKey): Promise<KeyRecord> {
    if (chain.length >= MAX_KEYS) {
      throw new FederatedError(
        "CONFIG_INVALID",
        `the signing key has changed ${chain.length - 1} times, which is as often as clients follow`,
      );
    }
    const record = await signKeyRecord(to.publicKey, now(), from);
    // A former key could hand over to anybody: it is not kept.
    await store.addSigningKey(record, await signNewest(to), seedName(chain.length - 1));
    chain = [...chain, record];
    current = to;
    return record;
  }

  async function begin(): Promise<SigningKey> {
    const newest = chain.at(-1);
    if (newest === undefined) {
      const first = own ?? (await storedKey(deps, 0));
      const record = { publicKey: first.publicKey, createdAt: now() };
      await store.addSigningKey(record, []);
      chain = [record];
      return first;
    }
    const is = (key: SigningKey | undefined) => key?.publicKey === newest.publicKey;
    if (own !== undefined && is(own)) return own;
    const kept = await keptKey(chain.length - 1);
    const holder = [former, kept].find(is);
    if (holder === undefined) throw keyIsGone(newest, own !== undefined);
    if (own !== undefined && chain.some(({ publicKey }) => publicKey === own.publicKey)) {
      throw new FederatedError(
        "CONFIG_INVALID",
        `signing.privateKey is ${own.publicKey}, which handed over to another key already; clients no longer take it`,
      );
    }
    // Without a key of the operator's own, a former one hands over to the coordinator's.
    const next = own ?? (holder === former ? await storedKey(deps, chain.length) : undefined);
    if (next !== undefined) await handOver(holder, next);
    return next ?? holder;
  }

  /** The key with this number, if the store has it. */
  const keptKey = async (number: number): Promise<SigningKey | undefined> => {
    try {
      return await storedKey({ store, random: { bytes: refuseToMake } }, number);
    } catch (error) {
      if (error === NOT_KEPT) return undefined;
      throw error;
    }
  };

  current = await begin();
  await signOldVersions(store, current);

  return {
    get publicKey() {
      return current.publicKey;
    },
    list: () => chain,
    signAndSave: (manifest, save) =>
      mailbox.post(async () => save(await signManifest(manifest, current))),
    rotate: () =>
      mailbox.post(async () => {
        if (own !== undefined) {
          throw new FederatedError(
            "CONFIG_INVALID",
            "the signing key is the operator's own (signing.privateKey); start again with a new one there " +
              "and the present one as signing.previousPrivateKey",
          );
        }
        return handOver(current, await storedKey(deps, chain.length));
      }),
  };
}

const NOT_KEPT = new Error("the store has no such key");
const refuseToMake = (): never => {
  throw NOT_KEPT;
};

function keyIsGone({ publicKey }: KeyRecord, hasOwn: boolean): FederatedError {
  const setting = hasOwn ? "signing.previousPrivateKey" : "signing.privateKey";
  return new FederatedError(
    "CONFIG_INVALID",
    `this store's models are signed with key ${publicKey}, which the store does not keep; ` +
      `give it as ${setting}, or clients that trust it could not follow`,
  );
}

/** A coordinator from before there were signatures left versions without: each is signed once. */
async function signOldVersions(store: Store, key: SigningKey): Promise<void> {
  for (;;) {
    const versions = await store.listUnsignedVersions(BATCH);
    if (versions.length === 0) return;
    const signatures: VersionSignature[] = [];
    for (const version of versions) {
      const { taskId, modelVersion } = version;
      const task = await store.getTask(taskId);
      if (task === undefined) throw new Error(`the store has versions of no task "${taskId}"`);
      const parent = await store.getModelVersion(taskId, modelVersion - 1);
      const manifest = manifestOf(task, version, parent, await store.listLedger(taskId));
      signatures.push({ taskId, modelVersion, signed: await signManifest(manifest, key) });
    }
    await store.saveSignatures(signatures);
  }
}
