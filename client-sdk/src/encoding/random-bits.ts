/** Chance for rounding and choosing, of the platform's cryptographic source; `seededBits` is for plans with a seed. */

import type { RandomBits } from "@tributary/protocol";

/** `getRandomValues` gives no more bytes at once. */
const MOST_AT_ONCE = 32_768;

/** Nobody can know, or repeat, how a number was rounded. */
export const secureBits: RandomBits = (target) => {
  for (let from = 0; from < target.length; from += MOST_AT_ONCE) {
    crypto.getRandomValues(target.subarray(from, from + MOST_AT_ONCE));
  }
};
