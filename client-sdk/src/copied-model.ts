/** A version served from its copy in fewer bits; loaded where an app asks for one. */

import type { Layout, ModelManifest, ServingCopy, ServingEncoding } from "@tributary/protocol";
import { decodeServingCopy, FederatedError, inPieces, servingCopyBytes } from "@tributary/protocol";

import { createBreather } from "./breather.ts";
import type { CachedModel } from "./cache.ts";
import type { RequestOptions } from "./http.ts";
import type { FetchedModel, fetchModel, ModelFetchDeps, WantedModel } from "./model-fetch.ts";

export interface CopyFetchDeps extends ModelFetchDeps {
  readonly fetchModel: typeof fetchModel;
  readonly pathOf: (copy: ServingCopy) => string;
}

/**
 * As `fetchModel`, of the copy that the manifest names. The exact one where its task has no such copy, or the cache
 * has it already.
 * @throws FederatedError as `fetchModel`
 */
export async function fetchCopied(
  deps: CopyFetchDeps,
  model: WantedModel,
  options: RequestOptions,
  encoding: ServingEncoding,
): Promise<FetchedModel> {
  const { http, cache, trust, onCacheError } = deps;
  const { taskId, layout, checkpoint } = model;
  const inUse = { taskId, layoutDigest: layout.digest, checkpoint };
  const manifest = await trust.verifyReceived(inUse, options);
  const copy = copyIn(manifest, layout, encoding);
  const exact = await cache.getFrame(checkpoint.digest).catch(onCacheError);
  if (copy === undefined || exact !== undefined) return deps.fetchModel(deps, model, options);
  const { modelVersion, digest, bytes, signed } = checkpoint;
  const held = await cache.getFrame(copy.digest).catch(onCacheError);
  const url = deps.pathOf(copy);
  const download = { how: held === undefined ? ("copy" as const) : ("cache" as const), bytes: 0 };
  const asked = { ...options, tally: download };
  const frame = held ?? (await http.getCheckpoint({ modelVersion, ...copy, url }, asked));
  const copied: CachedModel = {
    layout,
    checkpoint: { modelVersion, ...copy, signed },
    copyOf: { encoding, digest, bytes },
    frame,
  };
  const weights = await copiedWeights(copied, manifest);
  if (held === undefined) await cache.put(taskId, copied).catch(onCacheError);
  return { weights, manifest, download };
}

/**
 * The weights of a copy whose bytes are those of its digest.
 * @throws FederatedError MODEL_UNTRUSTED when the manifest is about another copy, CHECKPOINT_CORRUPT, MALFORMED_MESSAGE,
 * UPDATE_LAYOUT_MISMATCH
 */
export async function copiedWeights(
  { layout, checkpoint, copyOf, frame }: CachedModel,
  manifest: ModelManifest,
): Promise<Float32Array> {
  const signed = copyOf && copyIn(manifest, layout, copyOf.encoding);
  if (signed?.digest !== checkpoint.digest) {
    throw new FederatedError(
      "MODEL_UNTRUSTED",
      `nothing was signed about copy ${checkpoint.digest} of model version ${checkpoint.modelVersion}`,
    );
  }
  const { encoding, modelVersion, weights } = decodeServingCopy(layout, frame);
  if (encoding === copyOf?.encoding && modelVersion === checkpoint.modelVersion) {
    return new Float32Array((await inPieces(weights, createBreather())).buffer);
  }
  throw new FederatedError(
    "CHECKPOINT_CORRUPT",
    `the copy of model version ${checkpoint.modelVersion} calls itself version ${modelVersion} as ${encoding}`,
  );
}

/** What was signed about a copy, if that can be one. */
function copyIn({ copies }: ModelManifest, layout: Layout, encoding: ServingEncoding) {
  const copy = copies?.[encoding];
  if (copy === undefined) return undefined;
  const { digest, bytes } = copy;
  if (bytes === servingCopyBytes(encoding, layout.parameterCount)) return { digest, bytes };
  throw new FederatedError(
    "MODEL_UNTRUSTED",
    `what was signed about the ${encoding} copy cannot be: ${bytes} bytes for ${layout.parameterCount} weights`,
  );
}
