/** Fetches the bytes of a model version with the session's token, and checks that they are the ones that were named. */

import type { Layout, ModelResource, ServingEncoding } from "@tributary/protocol";
import { decodeCheckpoint, FederatedError, routes, sha256 } from "@tributary/protocol";

import type { Api } from "./api.ts";

/** `frame`: as the coordinator keeps it. `weights`: little-endian float32 values in layout order alone. An encoding: that copy. */
export type ModelFormat = "frame" | "weights" | "manifest" | ServingEncoding;

export interface ModelFile {
  readonly name: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** False where the browser computes no digests, which is on pages without TLS that are not of this machine. */
  readonly isVerified: boolean;
}

/**
 * @throws FederatedError CHECKPOINT_CORRUPT when the bytes have another digest, NOT_FOUND where there is no such copy,
 * and what fetching fails with
 */
export async function fetchModel(
  api: Pick<Api, "open">,
  model: ModelResource,
  layout: Layout,
  format: ModelFormat,
): Promise<ModelFile> {
  const { taskId, modelVersion, signed, copies } = model;
  const stem = `${taskId}-v${modelVersion}`;
  if (format === "manifest") {
    const bytes = new TextEncoder().encode(JSON.stringify(signed, undefined, 2));
    return { name: `${stem}.manifest.json`, bytes, isVerified: true };
  }
  const isCopy = format === "bfloat16" || format === "int8";
  const digest = isCopy ? copies?.[format]?.digest : model.digest;
  if (digest === undefined) {
    throw new FederatedError("NOT_FOUND", `version ${modelVersion} has no copy as ${format}`);
  }
  const answer = await api.open(routes.checkpointByDigest.path({ digest }));
  const frame = new Uint8Array(await answer.arrayBuffer());
  const isVerified = "subtle" in globalThis.crypto;
  if (isVerified) {
    const found = await sha256(frame);
    if (found !== digest) {
      throw new FederatedError(
        "CHECKPOINT_CORRUPT",
        `the bytes have digest ${found} and not the one that was named; try again`,
      );
    }
  }
  if (isCopy) return { name: `${stem}.${format}.ckpt`, bytes: frame, isVerified };
  if (format === "frame") return { name: `${stem}.ckpt`, bytes: frame, isVerified };
  const { weights } = decodeCheckpoint(layout, frame);
  return { name: `${stem}.f32`, bytes: littleEndian(weights), isVerified };
}

/** Float32 values as bytes, whatever this machine's own order is. */
function littleEndian(values: Float32Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(4 * values.length);
  const view = new DataView(bytes.buffer);
  for (const [i, value] of values.entries()) view.setFloat32(4 * i, value, true);
  return bytes;
}
