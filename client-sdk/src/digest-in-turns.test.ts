import { randomBytes } from "node:crypto";

import { sha256 } from "@tributary/protocol";
import { expect, test } from "vitest";

import { sha256InTurns } from "./digest-in-turns.ts";

const MIB = 2 ** 20;

test.each([0, 1, 4 * MIB, 4 * MIB + 1, 9 * MIB + 77])(
  "[SDK48] the digest of %i bytes is SHA-256, however large the frame",
  async (length) => {
    const bytes = new Uint8Array(randomBytes(length + 3)).subarray(3);
    expect(await sha256InTurns(bytes)).toBe(await sha256(bytes));
  },
);

test("[SDK48] while a large frame is hashed, the event loop has its turns", async () => {
  const frame = new Uint8Array(32 * MIB);
  let turns = 0;
  const count = setInterval(() => (turns += 1), 0);
  await sha256InTurns(frame);
  clearInterval(count);
  expect(turns).toBeGreaterThan(1);
});
