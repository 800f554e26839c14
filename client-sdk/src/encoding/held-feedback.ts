/**
 * What a feedback store keeps, as bytes: u32 length of the header, the header (JSON, UTF-8, padded with spaces to a
 * multiple of 4), then the vectors that it names, little-endian float32, one after the other.
 */

import type { RoundId } from "@tributary/protocol";
import { isDigest, isRoundId } from "@tributary/protocol";

import { sha256InTurns } from "../digest-in-turns.ts";

export interface HeldFeedback {
  /** What it belongs to: a digest of client, layout and encoding. */
  readonly line: string;
  /** Of the model that the newest update was made from. A model's versions never go back. */
  readonly modelVersion: number;
  /** What was not sent in all updates that were counted. */
  readonly kept?: Uint8Array;
  /** What will not have been sent once the update of this round is counted. */
  readonly next?: { readonly roundId: RoundId; readonly bytes: Uint8Array };
}

export async function toBytes(held: HeldFeedback): Promise<Uint8Array> {
  const { line, modelVersion, kept, next } = held;
  const vectors = [kept, next?.bytes].filter((vector) => vector !== undefined);
  const digests: string[] = [];
  for (const vector of vectors) digests.push(await sha256InTurns(vector));
  const facts = { line, modelVersion, kept: kept !== undefined, next: next?.roundId, digests };
  const text = JSON.stringify(facts);
  const header = new TextEncoder().encode(text.padEnd(4 * Math.ceil(text.length / 4)));
  const length = vectors.reduce((sum, vector) => sum + vector.length, 4 + header.length);
  const bytes = new Uint8Array(length);
  new DataView(bytes.buffer).setUint32(0, header.length, true);
  bytes.set(header, 4);
  let at = 4 + header.length;
  for (const vector of vectors) {
    bytes.set(vector, at);
    at += vector.length;
  }
  return bytes;
}

/** undefined for what is damaged, or is not of vectors of `vectorBytes`. */
export async function fromBytes(
  bytes: Uint8Array,
  vectorBytes?: number,
): Promise<HeldFeedback | undefined> {
  const facts = readHeader(bytes);
  if (facts === undefined) return undefined;
  const { line, modelVersion, next, digests, vectorsAt } = facts;
  const count = digests.length;
  const each = (bytes.length - vectorsAt) / Math.max(1, count);
  if (vectorBytes !== undefined && count > 0 && each !== vectorBytes) return undefined;
  const vectors: Uint8Array[] = [];
  for (const digest of digests) {
    const from = vectorsAt + vectors.length * each;
    const vector = bytes.subarray(from, from + each);
    if ((await sha256InTurns(vector)) !== digest) return undefined;
    vectors.push(vector);
  }
  const kept = facts.kept ? vectors.shift() : undefined;
  const [following] = vectors;
  return {
    ...{ line, modelVersion },
    ...(kept === undefined ? {} : { kept }),
    ...(next === undefined || following === undefined
      ? {}
      : { next: { roundId: next, bytes: following } }),
  };
}

function readHeader(bytes: Uint8Array) {
  try {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const vectorsAt = 4 + view.getUint32(0, true);
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(4, vectorsAt));
    const value = JSON.parse(text) as Record<string, unknown>;
    const { line, modelVersion, kept, next, digests } = value;
    const isSound =
      vectorsAt <= bytes.length &&
      typeof line === "string" &&
      Number.isSafeInteger(modelVersion) &&
      typeof kept === "boolean" &&
      (next === undefined || isRoundId(next)) &&
      Array.isArray(digests) &&
      digests.every(isDigest) &&
      digests.length === Number(kept) + Number(next !== undefined);
    if (!isSound) return undefined;
    return {
      ...{ line, kept, vectorsAt, digests: digests as string[] },
      modelVersion: Number(modelVersion),
      next: next,
    };
  } catch {
    return undefined;
  }
}
