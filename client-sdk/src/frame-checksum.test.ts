import { checksumOf } from "@tributary/protocol";
import { expect, test } from "vitest";

import { checkFrame, checksumOfFrame } from "./frame-checksum.ts";

const MIB = 2 ** 20;

test.each([0, 1, MIB / 2, 3 * MIB + 77])(
  "[IG4] the checksum of a frame of %i bytes is that of its bytes",
  async (length) => {
    const frame = Uint8Array.from({ length }, (_, i) => (i * 31) % 253);
    expect(await checkFrame(frame)).toBe(checksumOf(frame));
  },
);

test("[IG4] a frame is summed once for all who ask, and again where it may be damaged", async () => {
  const frame = Uint8Array.of(1, 2, 3);
  const before = await checksumOfFrame(frame);
  frame[0] = 9;
  expect(await checksumOfFrame(frame)).toBe(before);
  expect(await checkFrame(frame)).toBe(checksumOf(frame));
  expect(await checksumOfFrame(frame)).toBe(checksumOf(frame));
});

test("[IG4] while a large frame is summed, the event loop has its turns", async () => {
  const frame = new Uint8Array(256 * MIB);
  let turns = 0;
  const count = setInterval(() => (turns += 1), 0);
  await checkFrame(frame);
  clearInterval(count);
  expect(turns).toBeGreaterThan(1);
});
