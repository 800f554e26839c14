/** Fetches the bytes of a model version with the session's token, and checks that they are the ones that were named. */

import type { Layout, ModelResource } from "@tributary/protocol";
import { decodeCheckpoint, FederatedError, routes, sha256 } from "@tributary/protocol";

import type { Api } from "./api.ts";

/** `frame`: as the coordinator keeps it. `weights`: little-endian float32 values in layout order alone. */
export type ModelFormat = "frame" | "weights" | "manifest";

export interface ModelFile {
  readonly name: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** False where the browser computes no digests, which is on pages without TLS that are not of this machine. */
  readonly isVerified: boolean;
}

/** @throws FederatedError CHECKPOINT_CORRUPT when the bytes have another digest, and what fetching fails with */
export async function fetchModel(
  api: Pick<Api, "open">,
  model: ModelResource,
  layout: Layout,
  format: ModelFormat,
): Promise<ModelFile> {
  const { taskId, modelVersion, digest, signed } = model;
  const stem = `${taskId}-v${modelVersion}`;
  if (format === "manifest") {
    const bytes = new TextEncoder().encode(JSON.stringify(signed, undefined, 2));
    return { name: `${stem}.manifest.json`, bytes, isVerified: true };
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
