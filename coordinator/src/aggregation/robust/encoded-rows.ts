/** Updates of a round as they came, decoded where a tile asks for them: none is ever there as a whole vector. */

import type { Encoding, ValueEncoding } from "@tributary/protocol";
import { BLOCK_VALUES, scaleBytes, valuesBytes } from "@tributary/protocol";

import type { UpdateRows } from "./tiles.ts";

type Read = (payload: DataView, from: number, target: Float32Array) => void;

/**
 * @param payloads one for each update, as `protocol/src/encoding` describes them
 * @throws RangeError for an encoding that leaves parameters out, or a payload of another length
 */
export function encodedRows(
  payloads: readonly Uint8Array[],
  encoding: Encoding,
  parameterCount: number,
): UpdateRows {
  const { kind } = encoding;
  if (kind === "topK" || kind === "randomK") {
    throw new RangeError(`robust rules take dense updates, got ${kind}`);
  }
  const bytes = valuesBytes(kind, parameterCount);
  const views = payloads.map((payload) => {
    if (payload.length !== bytes) {
      throw new RangeError(`${payload.length} bytes are not ${parameterCount} numbers as ${kind}`);
    }
    return new DataView(payload.buffer, payload.byteOffset, payload.length);
  });
  const read = readerOf(kind, parameterCount);
  return {
    rows: payloads.length,
    parameterCount,
    read: (row, from, target) => read(views[row] as DataView, from, target),
  };
}

function readerOf(kind: ValueEncoding, parameterCount: number): Read {
  switch (kind) {
    case "float32":
      return LITTLE_ENDIAN ? copyFloats : readFloats;
    case "bfloat16":
      return readBfloats;
    case "int8":
      return readQuantised(scaleBytes(kind, parameterCount), (payload, at, index) =>
        payload.getInt8(at + index),
      );
    case "int4":
      return readQuantised(scaleBytes(kind, parameterCount), (payload, at, index) => {
        const pair = payload.getUint8(at + (index >> 1));
        return ((index & 1) === 0 ? pair & 15 : pair >> 4) - 8;
      });
  }
}

const LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

const copyFloats: Read = ({ buffer, byteOffset }, from, target) => {
  target.set(new Float32Array(buffer, byteOffset + 4 * from, target.length));
};

const readFloats: Read = (payload, from, target) => {
  for (let i = 0; i < target.length; i++) target[i] = payload.getFloat32(4 * (from + i), true);
};

/** The upper half of a float32. */
const readBfloats: Read = (payload, from, target) => {
  const words = new Uint32Array(target.buffer, target.byteOffset, target.length);
  for (let i = 0; i < words.length; i++) words[i] = payload.getUint16(2 * (from + i), true) << 16;
};

/** Scale times whole number; the scales come first. */
function readQuantised(
  start: number,
  at: (payload: DataView, start: number, index: number) => number,
): Read {
  return (payload, from, target) => {
    for (let i = 0; i < target.length;) {
      const block = Math.floor((from + i) / BLOCK_VALUES);
      const scale = payload.getFloat32(4 * block, true);
      const end = Math.min(target.length, (block + 1) * BLOCK_VALUES - from);
      for (; i < end; i++) target[i] = scale * at(payload, start, from + i);
    }
  };
}
