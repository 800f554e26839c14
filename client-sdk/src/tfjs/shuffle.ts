/**
 * Seeded order of examples: xoshiro128** (Blackman & Vigna 2018), seeded by SplitMix32, in 32-bit
 * integers only, so that a seed gives the same batches in every JavaScript engine. Not for secrets.
 */

/** Uniform numbers in [0, 1) with 32 bits of resolution. */
export type Uniform = () => number;

/** A stream of its own for every list of seeds (any numbers; their order matters). */
export function createUniform(...seeds: readonly number[]): Uniform {
  const state = new Uint32Array(4);
  let mixed = 0x9e3779b9;
  const absorb = (word: number) => {
    mixed = (mixed ^ word) >>> 0;
    for (let i = 0; i < 4; i++) state[i] = (state[i] as number) ^ nextSplitMix();
  };
  const nextSplitMix = () => {
    mixed = (mixed + 0x9e3779b9) >>> 0;
    let z = mixed;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  };
  for (const seed of seeds) {
    const words = new Uint32Array(new Float64Array([seed]).buffer);
    words.forEach(absorb);
  }
  if (state.every((word) => word === 0)) state[0] = 1;
  return () => nextXoshiro(state) / 2 ** 32;
}

function nextXoshiro(state: Uint32Array): number {
  const [a, b, c, d] = state as unknown as [number, number, number, number];
  const result = Math.imul(rotateLeft(Math.imul(b, 5), 7), 9) >>> 0;
  state[0] = a ^ (d ^ b);
  state[1] = b ^ (c ^ a);
  state[2] = c ^ a ^ (b << 9);
  state[3] = rotateLeft(d ^ b, 11);
  return result;
}

const rotateLeft = (word: number, by: number) => (word << by) | (word >>> (32 - by));

/** Fisher-Yates, in place. */
export function shuffle(indices: Uint32Array, uniform: Uniform): void {
  for (let i = indices.length - 1; i > 0; i--) {
    const j = Math.floor(uniform() * (i + 1));
    const swapped = indices[i] as number;
    indices[i] = indices[j] as number;
    indices[j] = swapped;
  }
}

/** 0, 1, …, length - 1. */
export function ascending(length: number): Uint32Array {
  return Uint32Array.from({ length }, (_, i) => i);
}
