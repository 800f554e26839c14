/** Copies of a version in fewer bits, where its task has clients that serve it: made with the version, and kept as it is. */

import type { ServingCopies, ServingCopy } from "@tributary/protocol";
import { encodeServingCopy, inPieces, routes } from "@tributary/protocol";

import type { TaskRecord } from "../ports.ts";
import { otherTurns } from "../thread.ts";
import type { BlobKeeper } from "./blob-keeper.ts";
import type { ModelShelf } from "./registry.ts";

/**
 * Makes what the task asks for and keeps it; each blob is held until it is settled.
 * @returns undefined where the task asks for none
 * @throws what storing threw, with nothing held
 */
export async function makeCopies(
  { shelf, blobs }: { readonly shelf: ModelShelf; readonly blobs: Pick<BlobKeeper, "settle"> },
  { spec, layout }: Pick<TaskRecord, "spec" | "layout">,
  version: { readonly modelVersion: number; readonly weights: Float32Array },
): Promise<ServingCopies | undefined> {
  if (spec.serving === undefined) return undefined;
  const copies: { -readonly [E in keyof ServingCopies]: ServingCopies[E] } = {};
  try {
    for (const encoding of spec.serving.encodings) {
      const frame = await inPieces(encodeServingCopy(layout, version, encoding), otherTurns);
      copies[encoding] = { digest: await shelf.save(frame), bytes: frame.length };
    }
  } catch (error) {
    for (const { digest } of Object.values<ServingCopy>(copies)) blobs.settle(digest);
    throw error;
  }
  return copies;
}

/** As the API tells of them: with where their bytes are. */
export function copiesResource(copies: ServingCopies): {
  readonly [E in keyof ServingCopies]?: ServingCopy & { readonly url: string };
} {
  return Object.fromEntries(
    Object.entries<ServingCopy>(copies).map(([encoding, { digest, bytes }]) => [
      encoding,
      { digest, bytes, url: routes.checkpointByDigest.path({ digest }) },
    ]),
  );
}
