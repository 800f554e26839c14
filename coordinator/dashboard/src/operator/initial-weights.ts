/** First weights of a task: from a checkpoint, a file of float32 values, or what `describeModel` gave. */

import { decodeFrameHeader, FRAME_HEADER_BYTES } from "@tributary/protocol";

export interface InitialWeights {
  /** Where they are from, for people. */
  readonly name: string;
  /** Little-endian float32 in layout order. */
  readonly bytes: Uint8Array;
}

/**
 * @param file a checkpoint as it is downloaded, or bare little-endian float32 values
 * @throws Error in words
 */
export function weightsFromFile(name: string, file: Uint8Array): InitialWeights {
  const bytes = isCheckpoint(file) ? file.subarray(FRAME_HEADER_BYTES) : file;
  if (bytes.length > 0 && bytes.length % 4 === 0) return { name, bytes };
  throw new Error(
    `${name} has ${file.length} bytes: it is no checkpoint, and no whole number of float32 values`,
  );
}

function isCheckpoint(file: Uint8Array): boolean {
  try {
    decodeFrameHeader(file, "checkpoint");
    return true;
  } catch {
    return false;
  }
}

export interface PastedModel {
  readonly tensors: unknown;
  readonly weights?: InitialWeights;
}

/**
 * The JSON of `describeModel`, or its tensors alone. A Float32Array becomes an object with numbers for names.
 * @throws Error in words where it is no JSON
 */
export function readModel(text: string): PastedModel {
  const value: unknown = JSON.parse(text);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return { tensors: value };
  }
  const { tensors, initialWeights } = value as Readonly<Record<string, unknown>>;
  if (tensors === undefined) throw new Error("there are no tensors in it");
  const numbers =
    typeof initialWeights === "object" && initialWeights !== null
      ? Object.values(initialWeights as Readonly<Record<string, unknown>>)
      : [];
  if (numbers.length === 0 || !numbers.every((number) => typeof number === "number")) {
    return { tensors };
  }
  const bytes = new Uint8Array(4 * numbers.length);
  const view = new DataView(bytes.buffer);
  for (const [i, number] of numbers.entries()) view.setFloat32(4 * i, number, true);
  return { tensors, weights: { name: "the model that was pasted", bytes } };
}

const CHUNK = 0x8000;

export function base64(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += CHUNK) {
    text += String.fromCharCode(...bytes.subarray(i, i + CHUNK));
  }
  return btoa(text);
}
