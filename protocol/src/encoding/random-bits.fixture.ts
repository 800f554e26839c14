/** Repeatable chance for tests: mulberry32 (public domain), 16 bits a number. */

import type { RandomBits } from "./rounding.ts";

export function bitsFrom(seed: number): RandomBits {
  let state = seed >>> 0;
  return (target) => {
    for (let i = 0; i < target.length; i++) {
      state = (state + 0x6d2b79f5) >>> 0;
      let z = state;
      z = Math.imul(z ^ (z >>> 15), z | 1);
      z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
      target[i] = ((z ^ (z >>> 14)) >>> 0) >>> 16;
    }
  };
}
