/**
 * Bytes as a database keeps them. A database clones what it is given on the page's main thread, which stands still for
 * longer than it may when it is a large model; a Blob's bytes stay where they are, and are read beside the page.
 */

import { uploadBody } from "../upload-body.ts";

export type KeptBytes = Uint8Array | Blob;

/** To be made before the transaction begins: large ones take turns of the event loop. */
export async function toKept(bytes: Uint8Array): Promise<KeptBytes> {
  const kept = await uploadBody(bytes);
  if (kept instanceof Blob) return kept;
  // In memory of just their size: a database clones all of the memory that a view is of.
  return kept.byteLength === kept.buffer.byteLength ? kept : kept.slice();
}

/** After the transaction. @returns as it was where it is neither: a database may be damaged */
export async function fromKept(kept: KeptBytes): Promise<Uint8Array> {
  return kept instanceof Blob ? new Uint8Array(await kept.arrayBuffer()) : kept;
}
