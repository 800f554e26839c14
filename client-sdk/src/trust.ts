/**
 * Whose models this client uses: those of keys that the app pins, else of the first key that was seen, and of
 * the keys that a trusted one handed over to. Everything else is refused, and so is what cannot be told.
 */

import type {
  CheckpointRef,
  Digest,
  KeyRecord,
  ModelManifest,
  PublicKey,
  TaskId,
} from "@tributary/protocol";
import {
  FederatedError,
  followKeys,
  isFederatedError,
  isPublicKey,
  openManifest,
} from "@tributary/protocol";

import type { ModelCache, TrustedKeys } from "./cache.ts";
import type { RequestOptions } from "./http.ts";
import { createSlot } from "./slot.ts";

export interface TrustOptions {
  /**
   * The coordinator's signing keys as this app knows them (`tributary keys list`, or `keys.publicKey` of a
   * coordinator in the same program). Without it the first key that is seen is trusted and remembered in the
   * cache, so pin wherever the first connection may be somebody else's.
   */
  readonly publicKeys: readonly string[];
}

export interface TrustDeps {
  readonly origin: string;
  readonly cache: Pick<ModelCache, "getTrust" | "putTrust">;
  /** The coordinator's chain of keys. */
  readonly getKeys: (options: RequestOptions) => Promise<readonly KeyRecord[]>;
}

/** A version as it is about to be used: what its manifest must be about. */
export interface VersionInUse {
  readonly taskId: TaskId;
  readonly layoutDigest: Digest;
  readonly checkpoint: Pick<CheckpointRef, "modelVersion" | "digest" | "bytes" | "signed">;
}

export interface ModelTrust {
  /**
   * What the coordinator just said is signed by a key in force; an unknown key may be a successor.
   * @throws FederatedError MODEL_UNTRUSTED, CONFIG_INVALID (what was remembered is damaged), UNAVAILABLE, ABORTED
   */
  verifyReceived(version: VersionInUse, options: RequestOptions): Promise<ModelManifest>;
  /** What the cache holds is signed by a key that is, or has been, in force. @throws as above */
  verifyCached(version: VersionInUse): Promise<ModelManifest>;
}

/** @throws FederatedError CONFIG_INVALID for a pin that is no key, or for no pin at all */
export function createTrust(deps: TrustDeps, options: TrustOptions | undefined): ModelTrust {
  const { origin, cache, getKeys } = deps;
  const pins = options === undefined ? undefined : checkPins(options.publicKeys);
  /** Two models that arrive at once must not both be the first. */
  const turns = createSlot();
  const never = new AbortController().signal;
  let known: TrustedKeys | undefined;

  const isPinned = (key: PublicKey) => pins?.has(key) === true;
  /** The key in force: the last one that was handed over to. A pin stays in force beside it. */
  const isInForce = (key: PublicKey) =>
    isPinned(key) || (known !== undefined && newest(known) === key);
  const hasBeenInForce = (key: PublicKey) =>
    isInForce(key) ||
    known?.firstKey === key ||
    known?.successors.some(({ publicKey }) => publicKey === key) === true;

  /** What another process of this app may have learnt meanwhile is looked up, too. */
  async function recall(): Promise<void> {
    let held: TrustedKeys | undefined;
    try {
      held = await cache.getTrust(origin);
    } catch (error) {
      throw cannot("read", error);
    }
    // Of what was remembered, pins leave only what follows from them.
    if (held === undefined || (pins !== undefined && !isPinned(held.firstKey))) return;
    known = held;
  }

  async function remember(keys: TrustedKeys): Promise<void> {
    try {
      await cache.putTrust(origin, keys);
    } catch (error) {
      throw cannot("remembered", error);
    }
    known = keys;
  }

  const cannot = (what: string, cause: unknown) =>
    isFederatedError(cause)
      ? cause
      : new FederatedError(
          "UNAVAILABLE",
          `the keys that are trusted for ${origin} cannot be ${what}, and without them nothing is`,
          { cause },
        );

  async function admit(key: PublicKey, requestOptions: RequestOptions): Promise<void> {
    if (isInForce(key)) return;
    await recall();
    if (isInForce(key)) return;
    if (pins === undefined && known === undefined) {
      await remember({ firstKey: key, successors: [] });
      return;
    }
    const path = await followKeys(await fetchKeys(key, requestOptions), isInForce, key);
    const [first] = path ?? [];
    if (path === undefined || first?.previous === undefined) throw refusal(key);
    const from = first.previous.publicKey;
    // From a pin that is not where the remembered chain ends, another chain begins.
    const continued =
      known !== undefined && newest(known) === from ? known : { firstKey: from, successors: [] };
    await remember({ ...continued, successors: [...continued.successors, ...path] });
  }

  async function fetchKeys(
    key: PublicKey,
    requestOptions: RequestOptions,
  ): Promise<readonly KeyRecord[]> {
    try {
      return await getKeys(requestOptions);
    } catch (error) {
      if (!isFederatedError(error) || error.retryable || error.code === "ABORTED") throw error;
      throw refusal(key, error);
    }
  }

  function refusal(key: PublicKey, cause?: unknown): FederatedError {
    const trusted =
      pins === undefined
        ? `${known === undefined ? "none" : newest(known)} (the first one seen, or its successor)`
        : `${[...pins].join(", ")} (pinned by this app)`;
    return new FederatedError(
      "MODEL_UNTRUSTED",
      `the model is signed by key ${key}, and no trusted key handed over to it; trusted for ${origin}: ${trusted}. ` +
        "If the coordinator was set up anew, pin its key (trust.publicKeys) or forget the former one " +
        "(a fresh cache); if not, somebody else is answering",
      cause === undefined ? {} : { cause },
    );
  }

  const open = ({ taskId, layoutDigest, checkpoint }: VersionInUse) =>
    openManifest(checkpoint.signed, { ...checkpoint, taskId, layoutDigest });

  return {
    verifyReceived: async (version, requestOptions) => {
      const manifest = await open(version);
      const { publicKey } = version.checkpoint.signed;
      if (!isInForce(publicKey)) {
        await turns.run(requestOptions.signal, () => admit(publicKey, requestOptions));
      }
      return manifest;
    },
    verifyCached: async (version) => {
      const manifest = await open(version);
      const { publicKey } = version.checkpoint.signed;
      await turns.run(never, async () => {
        if (!hasBeenInForce(publicKey)) await recall();
        if (!hasBeenInForce(publicKey)) throw refusal(publicKey);
      });
      return manifest;
    },
  };
}

const newest = ({ firstKey, successors }: TrustedKeys): PublicKey =>
  successors.at(-1)?.publicKey ?? firstKey;

function checkPins(publicKeys: readonly string[]): ReadonlySet<PublicKey> {
  const pins = publicKeys.filter(isPublicKey);
  if (pins.length > 0 && pins.length === publicKeys.length) return new Set(pins);
  throw new FederatedError(
    "CONFIG_INVALID",
    `trust.publicKeys must be one or more keys of 43 characters, as \`tributary keys list\` shows them, ` +
      `got ${JSON.stringify(publicKeys.map((key) => key.slice(0, 60)))}`,
  );
}
