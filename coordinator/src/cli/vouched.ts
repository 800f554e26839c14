/** What a coordinator signed about a model, and whether a key that the user named stands behind it. */

import type {
  KeyRecord,
  KeysResource,
  ModelManifest,
  ModelResource,
  PublicKey,
} from "@tributary/protocol";
import {
  FederatedError,
  followKeys,
  isPublicKey,
  openManifest,
  parseKeys,
  routes,
} from "@tributary/protocol";
import { InvalidArgumentError } from "commander";

import type { Api } from "./api.ts";
import { bytesText, evaluationText } from "./view.ts";

/**
 * The manifest, which is about exactly this version and genuinely signed.
 * @param pinned the key to trust, with those that it handed over to; absent: whatever key signed
 * @throws FederatedError MODEL_UNTRUSTED
 */
export async function vouchedFor(
  api: Api,
  model: ModelResource,
  pinned: PublicKey | undefined,
): Promise<ModelManifest> {
  const manifest = await openManifest(model.signed, model);
  const { publicKey } = model.signed;
  if (pinned === undefined || publicKey === pinned) return manifest;
  const { keys } = await api.getJson<Partial<KeysResource>>(routes.keys.path());
  const chain: readonly KeyRecord[] = parseKeys(keys);
  const path = await followKeys(chain, (key) => key === pinned, publicKey);
  if (path !== undefined) return manifest;
  throw new FederatedError(
    "MODEL_UNTRUSTED",
    `version ${model.modelVersion} is signed by key ${publicKey}, to which ${pinned} never handed over`,
  );
}

export function parseKey(text: string): PublicKey {
  if (isPublicKey(text)) return text;
  throw new InvalidArgumentError("write a key of 43 characters, as `keys list` shows them");
}

/** A manifest in full, as `name  value` lines. */
export function manifestLines(manifest: ModelManifest, publicKey: PublicKey): string[] {
  const { parent, roundNumber, evaluation, privacy, copies = {} } = manifest;
  const facts: [string, string][] = [
    ["task", manifest.taskId],
    ["version", `${manifest.modelVersion}, ${bytesText(manifest.bytes)}`],
    ["digest", manifest.digest],
    ["layout", manifest.layoutDigest],
    ["parent", parent === undefined ? "none" : `${parent.modelVersion}, ${parent.digest}`],
    ["round", roundNumber === undefined ? "none: first weights" : `${roundNumber}`],
    ["created", manifest.createdAt],
    ...Object.entries(copies).map(([encoding, { bytes, digest }]): [string, string] => [
      encoding,
      `${bytesText(bytes)}, ${digest}`,
    ]),
    ["evaluation", evaluation === undefined ? "none" : evaluationText(evaluation)],
    ["privacy", privacy.statement],
    ["signed by", publicKey],
  ];
  return facts.map(([name, value]) => `${name.padEnd(13)}${value}`);
}
