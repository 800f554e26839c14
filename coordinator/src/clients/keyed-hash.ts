/**
 * HalfSipHash-2-4 with 64 bits of output (Aumasson and Bernstein 2012, "SipHash: a fast short-input PRF"; the variant
 * with words of 32 bits is of their reference code), over whole words. Who does not know the key cannot choose what
 * comes out; it is for tables and sketches, and no signature.
 */

const rotate = (x: number, by: number): number => (x << by) | (x >>> (32 - by));

/**
 * @param key two words that only the coordinator knows
 * @returns hashes at most 63 words to two
 */
export function createKeyedHash([k0, k1]: readonly [number, number]) {
  let v0 = 0;
  let v1 = 0;
  let v2 = 0;
  let v3 = 0;
  function round(): void {
    v0 = (v0 + v1) | 0;
    v1 = rotate(v1, 5) ^ v0;
    v0 = rotate(v0, 16);
    v2 = (v2 + v3) | 0;
    v3 = rotate(v3, 8) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = rotate(v3, 7) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = rotate(v1, 13) ^ v2;
    v2 = rotate(v2, 16);
  }
  function compress(word: number): void {
    v3 ^= word;
    round();
    round();
    v0 ^= word;
  }
  function finish(): number {
    for (let i = 0; i < 4; i++) round();
    return (v1 ^ v3) >>> 0;
  }
  return (words: readonly number[]): readonly [number, number] => {
    v0 = k0;
    v1 = k1 ^ 0xee;
    v2 = 0x6c796765 ^ k0;
    v3 = 0x74656462 ^ k1;
    for (const word of words) compress(word);
    compress((4 * words.length) << 24);
    v2 ^= 0xee;
    const first = finish();
    v1 ^= 0xdd;
    return [first, finish()];
  };
}

export type KeyedHash = ReturnType<typeof createKeyedHash>;
