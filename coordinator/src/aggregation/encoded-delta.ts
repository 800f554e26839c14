/** A client's delta as it came: nobody makes a vector of float32 numbers of it on its way into a sum. */

import type { Encoding } from "@tributary/protocol";
import { decodePayload, float32FromBytes } from "@tributary/protocol";

export interface EncodedDelta {
  readonly encoding: Encoding;
  /** Elements of the vector that the payload stands for. */
  readonly parameterCount: number;
  /** As `protocol/src/encoding` describes it; begins at a multiple of 4 bytes, in whatever memory. */
  readonly payload: Uint8Array;
}

const LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** A vector as the payload of a float32 update: in place where the machine's numbers are the wire's. */
export function denseDelta(vector: Float32Array): EncodedDelta {
  return {
    encoding: { kind: "float32" },
    parameterCount: vector.length,
    payload: LITTLE_ENDIAN
      ? new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength)
      : littleEndian(vector),
  };
}

function littleEndian(vector: Float32Array): Uint8Array {
  const payload = new Uint8Array(4 * vector.length);
  const view = new DataView(payload.buffer);
  for (const [i, value] of vector.entries()) view.setFloat32(4 * i, value, true);
  return payload;
}

/** @throws RangeError when it stands for another vector */
export function assertLength({ parameterCount }: EncodedDelta, expected: number): void {
  if (parameterCount === expected) return;
  throw new RangeError(`a delta of ${parameterCount} elements for a sum of ${expected}`);
}

/**
 * The vector of a delta; of a float32 one in place where the machine's numbers are the wire's.
 * @throws RangeError for a float32 payload of another length; FederatedError MALFORMED_MESSAGE, UPDATE_NOT_FINITE
 */
export function float32Of({ encoding, parameterCount, payload }: EncodedDelta): Float32Array {
  if (encoding.kind !== "float32") return decodePayload(encoding, parameterCount, payload);
  if (payload.length !== 4 * parameterCount) {
    throw new RangeError(
      `${payload.length} bytes as ${encoding.kind} are not ${parameterCount} float32 numbers`,
    );
  }
  return LITTLE_ENDIAN
    ? new Float32Array(payload.buffer, payload.byteOffset, parameterCount)
    : float32FromBytes(payload);
}
