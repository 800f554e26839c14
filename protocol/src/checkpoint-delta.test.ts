import fc from "fast-check";
import { expect, test } from "vitest";

import { diffCheckpoints, isCheckpointDelta, patchCheckpoint } from "./checkpoint-delta.ts";
import { DELTA_HEADER_BYTES } from "./routes.ts";

const bytesOf = (words: readonly number[]) => new Uint8Array(Uint32Array.from(words).buffer);

/** In pieces of `step` words. */
function whole(
  work: { length: number; run(from: number, to: number): void; bytes: Uint8Array },
  step = 3,
) {
  for (let at = 0; at < work.length; at += step) work.run(at, Math.min(work.length, at + step));
  return work.bytes;
}

/** Quiet and signalling NaNs with payloads, -0, denormals, infinities, the largest numbers; and anything else. */
const word = fc.oneof(
  fc.constantFrom(
    0x7fc00001,
    0x7f800001,
    0xffffffff,
    0x80000000,
    1,
    0x807fffff,
    0x7f800000,
    0xff800000,
    0x7f7fffff,
    0,
  ),
  fc.nat({ max: 0xffffffff }),
);

test("[DW1] a delta gives back every bit of the target, whatever the words and the pieces", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(word, word), { maxLength: 40 }),
      fc.integer({ min: 1, max: 9 }),
      (pairs, step) => {
        const [base, target] = [bytesOf(pairs.map(([a]) => a)), bytesOf(pairs.map(([, b]) => b))];
        const delta = whole(diffCheckpoints(base, target), step);
        expect(isCheckpointDelta(delta)).toBe(true);
        expect(whole(patchCheckpoint(base, delta), step)).toEqual(target);
        // From any place in memory.
        const shifted = new Uint8Array(delta.length + base.length + 3);
        shifted.set(delta, 3);
        shifted.set(base, 3 + delta.length);
        const [d, b] = [shifted.subarray(3, 3 + delta.length), shifted.subarray(3 + delta.length)];
        expect(whole(patchCheckpoint(b, d), step)).toEqual(target);
      },
    ),
  );
});

test("[DW1] close values give differences whose high bytes are zero", () => {
  const values = Float32Array.from({ length: 1000 }, (_, i) => Math.sin(i + 1) / 10);
  const close = values.map((value) => value * (1 + 1e-6));
  const [base, target] = [new Uint8Array(values.buffer), new Uint8Array(close.buffer)];
  const delta = whole(diffCheckpoints(base, target), 1000);
  expect(
    delta.subarray(DELTA_HEADER_BYTES, DELTA_HEADER_BYTES + 3000).every((byte) => byte === 0),
  ).toBe(true);
  expect(delta.subarray(DELTA_HEADER_BYTES + 3000).some((byte) => byte !== 0)).toBe(true);
});

test("[DW2] what is no delta between the two is refused with a code", () => {
  const [base, target] = [bytesOf([1, 2, 3]), bytesOf([4, 5, 6])];
  const delta = whole(diffCheckpoints(base, target));
  const malformed = expect.objectContaining({ code: "MALFORMED_MESSAGE" }) as Error;
  const patch =
    (bytes: Uint8Array, of = base) =>
    () =>
      patchCheckpoint(of, bytes);
  // Every byte of the header says something, and is looked at.
  for (let at = 0; at < DELTA_HEADER_BYTES; at++) {
    const damaged = delta.slice();
    damaged[at]! ^= 1;
    expect(patch(damaged), `byte ${at}`).toThrow(malformed);
  }
  for (const length of [0, 3, 4, 15, 16, 17, delta.length - 1]) {
    expect(patch(delta.subarray(0, length)), `${length} bytes`).toThrow(malformed);
  }
  expect(patch(Uint8Array.of(...delta, 0))).toThrow(malformed);
  expect(patch(delta, bytesOf([1, 2]))).toThrow(malformed);
  expect(isCheckpointDelta(base)).toBe(false);
  expect(isCheckpointDelta(new Uint8Array(3))).toBe(false);
  expect(() => diffCheckpoints(base, bytesOf([1]))).toThrow(
    expect.objectContaining({ code: "UPDATE_LAYOUT_MISMATCH" }) as Error,
  );
  expect(() => diffCheckpoints(new Uint8Array(5), new Uint8Array(5))).toThrow(
    expect.objectContaining({ code: "UPDATE_LAYOUT_MISMATCH" }) as Error,
  );
});
