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
      return readScaled(scaleBytes(kind, parameterCount), readInt8);
    case "int4":
      return readScaled(scaleBytes(kind, parameterCount), readInt4);
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

/** Whole numbers of one scale, from `from` on, into places `i` to `end` of the target. */
type ReadScaled = (
  whole: Uint8Array,
  from: number,
  target: Float32Array,
  i: number,
  end: number,
  scale: number,
) => void;

/** Scale times whole number; the scales come first, and the numbers begin at `start`. */
function readScaled(start: number, read: ReadScaled): Read {
  return (payload, from, target) => {
    const { buffer, byteOffset, byteLength } = payload;
    const whole = new Uint8Array(buffer, byteOffset + start, byteLength - start);
    for (let i = 0; i < target.length;) {
      const block = Math.floor((from + i) / BLOCK_VALUES);
      const end = Math.min(target.length, (block + 1) * BLOCK_VALUES - from);
      read(whole, from, target, i, end, payload.getFloat32(4 * block, true));
      i = end;
    }
  };
}

const readInt8: ReadScaled = (whole, from, target, i, end, scale) => {
  for (; i < end; i++) target[i] = scale * (((whole[from + i] as number) << 24) >> 24);
};

const readInt4: ReadScaled = (whole, from, target, i, end, scale) => {
  for (; i < end; i++) {
    const pair = whole[(from + i) >> 1] as number;
    target[i] = scale * ((((from + i) & 1) === 0 ? pair & 15 : pair >> 4) - 8);
  }
};
