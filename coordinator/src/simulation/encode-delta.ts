/**
 * A delta in the encoding that the plan asks for, rounded by chance from a seed. Under feedback what is not sent stays
 * with the client and is added to its next delta (Karimireddy et al. 2019, arXiv:1901.09847).
 */

import type { Encoding } from "@tributary/protocol";
import { encodePayload, readPayload, seededBits } from "@tributary/protocol";

export interface EncodedWithRest {
  readonly payload: Uint8Array<ArrayBuffer>;
  /** What the client keeps for the next time; only under feedback. */
  readonly rest?: Float32Array<ArrayBuffer>;
}

/** Does a client keep what it did not send? Then each that has trained holds a vector of the model's size. */
export const keepsRest = (encoding: Encoding): boolean =>
  "feedback" in encoding && encoding.feedback;

/**
 * @param rest of the client's last update that arrived
 * @param seed of the plan: the client SDK, given the same, rounds the same
 * @throws FederatedError UPDATE_NOT_FINITE for numbers that are too large for a scale
 */
export function encodeDelta(
  encoding: Encoding,
  delta: Float32Array,
  rest: Float32Array | undefined,
  seed: number,
): EncodedWithRest {
  if (!keepsRest(encoding))
    return { payload: encodePayload(encoding, delta, seededBits(seed, delta)) };
  const whole = new Float32Array(delta);
  if (rest !== undefined) {
    for (let i = 0; i < whole.length; i++) whole[i] = (whole[i] as number) + (rest[i] as number);
  }
  const payload = encodePayload(encoding, whole, seededBits(seed, whole));
  readPayload(encoding, whole.length, payload, (sent, i) => {
    whole[i] = (whole[i] as number) - sent;
  });
  return { payload, rest: whole };
}
