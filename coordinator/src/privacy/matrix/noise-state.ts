/**
 * What a correlated noise remembers between two steps, as bytes. A secret: whoever has it takes the noise of the past
 * out of the next release. Begins with what it is, ends with its SHA-256, so that damage is found before it is used.
 */

import { DIGEST_BYTES, digestToBytes, sha256 } from "@tributary/protocol";

export interface NoiseState {
  /** Steps that are done. */
  readonly step: number;
  readonly vectors: readonly Float64Array[];
}

/** "TRNOISE1" in ASCII. */
const MAGIC = [0x54, 0x52, 0x4e, 0x4f, 0x49, 0x53, 0x45, 0x31] as const;
const HEADER_BYTES = 32;

/** Bytes of a state. */
export const noiseStateBytes = (vectors: number, size: number): number =>
  HEADER_BYTES + 8 * vectors * size + DIGEST_BYTES;

/** magic | step | vectors | elements of each, as little-endian float64 | elements | SHA-256 of all before it. */
export async function encodeNoiseState({ step, vectors }: NoiseState): Promise<Uint8Array> {
  const size = vectors[0]?.length ?? 0;
  const bytes = new Uint8Array(noiseStateBytes(vectors.length, size));
  const view = new DataView(bytes.buffer);
  bytes.set(MAGIC);
  for (const [i, value] of [step, vectors.length, size].entries()) {
    view.setFloat64(8 * (i + 1), value, true);
  }
  let at = HEADER_BYTES;
  for (const vector of vectors) {
    for (let i = 0; i < vector.length; i++, at += 8) view.setFloat64(at, vector[i] as number, true);
  }
  bytes.set(digestToBytes(await sha256(bytes.subarray(0, at))), at);
  return bytes;
}

/** @throws RangeError for bytes that are damaged or of another shape; no message tells of their values */
export async function decodeNoiseState(
  bytes: Uint8Array,
  expected: { readonly step: number; readonly vectors: number; readonly size: number },
): Promise<NoiseState> {
  const { step, vectors, size } = expected;
  if (bytes.length !== noiseStateBytes(vectors, size)) {
    throw new RangeError(
      `the noise state has ${bytes.length} bytes, expected ${noiseStateBytes(vectors, size)}`,
    );
  }
  const end = bytes.length - DIGEST_BYTES;
  const digest = digestToBytes(await sha256(bytes.subarray(0, end)));
  if (!digest.every((byte, i) => byte === bytes[end + i])) {
    throw new RangeError("the noise state is damaged: it does not match its SHA-256");
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const header = [8, 16, 24].map((at) => view.getFloat64(at, true));
  if (!MAGIC.every((byte, i) => byte === bytes[i]) || header[1] !== vectors || header[2] !== size) {
    throw new RangeError("the noise state is of another kind or of another task");
  }
  if (header[0] !== step) {
    throw new RangeError(`the noise state is of step ${header[0]}, the ledger is at step ${step}`);
  }
  const decoded = Array.from({ length: vectors }, (_, j) => {
    const vector = new Float64Array(size);
    const start = HEADER_BYTES + 8 * j * size;
    for (let i = 0; i < size; i++) vector[i] = view.getFloat64(start + 8 * i, true);
    return vector;
  });
  return { step, vectors: decoded };
}
