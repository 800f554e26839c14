/** Chance for rounding and choosing that a seed repeats. */

import { hash32 } from "./indices.ts";
import type { RandomBits } from "./rounding.ts";

/**
 * The same bits for the same seed and vector, and others for every other vector: clients of one round have one seed,
 * and were they to round alike, their errors would add up instead of cancelling.
 */
export function seededBits(seed: number, vector: Float32Array): RandomBits {
  const words = new Uint32Array(vector.buffer, vector.byteOffset, vector.length);
  let mixed = hash32(seed >>> 0, vector.length);
  for (const word of words) mixed = Math.imul(mixed ^ word, 0x9e3779b1) ^ (mixed >>> 15);
  const own = mixed >>> 0;
  let count = 0;
  return (target) => {
    for (let i = 0; i < target.length; i += 2) {
      const bits = hash32(own, count++);
      target[i] = bits;
      if (i + 1 < target.length) target[i + 1] = bits >>> 16;
    }
  };
}
