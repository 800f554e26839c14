import { expect, test } from "vitest";

import { createKeyedHash } from "./keyed-hash.ts";

/** The bytes first, first + 1, ... as words, the lowest byte first. */
const wordsFrom = (first: number, words: number) =>
  Array.from({ length: words }, (_, i) =>
    [3, 2, 1, 0].reduce((word, byte) => (word << 8) | (first + 4 * i + byte), 0),
  );

const littleEndian = (word: number) =>
  [0, 8, 16, 24].map((by) => ((word >>> by) & 255).toString(16).padStart(2, "0")).join("");

test.each([
  // `vectors_hsip64` of the reference code (github.com/veorq/SipHash), for inputs of whole words.
  [0, "218d1f59b9b83cc8"],
  [1, "d5e78a175be52ea1"],
  [2, "edfee820bce4858c"],
  [3, "7bc71f9faef5c799"],
  [4, "7336aad25f7bf3b5"],
  [5, "1bf52b0a6feea7db"],
  [6, "70741045ae3fa6f1"],
  [7, "2d925ffb1e0016b5"],
  [8, "28709d46d811626c"],
])("[MC28] the keyed hash of %i words is the reference's", (words, expected) => {
  const [k0, k1] = wordsFrom(0, 2);
  const hash = createKeyedHash([k0!, k1!])(wordsFrom(0, words));
  expect(hash.map(littleEndian).join("")).toBe(expected);
});
