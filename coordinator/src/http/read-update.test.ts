import { PassThrough } from "node:stream";

import { checksumOf, createLayout, encodeUpdate, FederatedError } from "@tributary/protocol";
import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { denseDelta } from "../aggregation/encoded-delta.ts";
import type { SlotPool } from "../aggregation/update-slots.ts";
import { noSlots } from "../aggregation/update-slots.ts";
import type { ReadUpdateOptions } from "./read-update.ts";
import { readUpdate } from "./read-update.ts";

const layout = await createLayout([{ name: "w", shape: [11] }]);
const update = {
  delta: new Float32Array(11).map((_, i) => i - 5.5),
  numExamples: 9,
  metrics: { trainLoss: 0.125 },
};
const frame = encodeUpdate(layout, update);
const checksum = checksumOf(frame);

const optionsWith = (options: Partial<ReadUpdateOptions> = {}): ReadUpdateOptions => ({
  layout,
  encoding: { kind: "float32" },
  maxBytes: frame.length,
  contentLength: undefined,
  slots: noSlots,
  signal: new AbortController().signal,
  onBytes: () => {},
  ...options,
});

/** One slot, which remembers who took it. */
function oneSlot(bytes: number) {
  const memory = new Uint8Array(bytes).fill(255);
  const taken: number[] = [];
  let isFree = true;
  const slots: SlotPool = {
    take: (wanted) => {
      if (!isFree || wanted > bytes) return undefined;
      isFree = false;
      taken.push(wanted);
      return { bytes: memory.subarray(0, wanted), release: () => void (isFree = true) };
    },
  };
  return { slots, memory, taken };
}

/** The body cut at these places; the chunks are its own, as those off a socket are. */
function streamOf(bytes: Uint8Array, cuts: readonly number[] = []): PassThrough {
  const body = new PassThrough();
  const edges = [0, ...[...cuts].sort((a, b) => a - b), bytes.length];
  for (let i = 1; i < edges.length; i++) body.write(bytes.slice(edges[i - 1], edges[i]));
  body.end();
  return body;
}

describe("an update off the wire", () => {
  it("[IG7] gives the memory of each chunk back as soon as it was copied", async () => {
    const chunks = [frame.slice(0, 70), frame.slice(70)];
    const body = new PassThrough();
    for (const chunk of chunks) body.write(chunk);
    body.end();
    const { delta } = await readUpdate(body, optionsWith());
    expect(delta.payload).toEqual(frame.slice(-44));
    expect(chunks.map(({ length }) => length)).toEqual([0, 0]);
  });

  it("[API18] is the same however the network cuts it", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: frame.length }), { maxLength: 12 }),
        fc.boolean(),
        async (cuts, announced) => {
          let counted = 0;
          const received = await readUpdate(
            streamOf(frame, cuts),
            optionsWith({
              ...(announced ? { contentLength: frame.length } : {}),
              onBytes: (bytes) => void (counted += bytes),
            }),
          );
          const delta = denseDelta(update.delta);
          expect(received).toEqual({ ...update, delta, checksum, bytes: frame.length });
          expect(counted).toBe(frame.length);
        },
      ),
    );
  });

  it("[IG5] lies in a slot of its sum, and in memory of its own where none is free", async () => {
    const { slots, memory, taken } = oneSlot(64);
    const first = await readUpdate(streamOf(frame, [10, 70, 99]), optionsWith({ slots }));
    const second = await readUpdate(streamOf(frame), optionsWith({ slots }));
    for (const { delta } of [first, second]) expect(delta).toEqual(denseDelta(update.delta));
    expect(first.delta.payload.buffer).toBe(memory.buffer);
    expect(second.delta.payload.buffer).not.toBe(memory.buffer);
    expect(taken).toEqual([44]);
    // Nothing is written beyond the payload.
    expect(memory.subarray(44).every((byte) => byte === 255)).toBe(true);
  });

  it("[IG5] takes no slot before its header is known to fit, and nothing after it has failed", async () => {
    const foreign = await createLayout([{ name: "v", shape: [11] }]);
    const wrong = encodeUpdate(foreign, update);
    for (const body of [wrong, frame.subarray(0, 63), frame.map((byte) => byte ^ 1)]) {
      const { slots, taken } = oneSlot(64);
      await expect(readUpdate(streamOf(body), optionsWith({ slots }))).rejects.toThrow();
      expect(taken).toEqual([]);
    }
    const { slots, memory } = oneSlot(64);
    const controller = new AbortController();
    const body = new PassThrough();
    const reading = readUpdate(body, optionsWith({ slots, signal: controller.signal }));
    body.write(frame.subarray(0, -20));
    await new Promise((resolve) => setImmediate(resolve));
    controller.abort(new FederatedError("UNAVAILABLE", "too slow"));
    await expect(reading).rejects.toMatchObject({ code: "UNAVAILABLE" });
    // Whoever has the slot now must not find the rest of an update that was given up.
    memory.fill(7);
    body.end(frame.subarray(-20));
    await new Promise((resolve) => setImmediate(resolve));
    expect(memory.every((byte) => byte === 7)).toBe(true);
  });

  it("[API19] that is cut short or too long anywhere is refused", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: frame.length - 1 }),
        fc.array(fc.integer({ min: 0, max: frame.length }), { maxLength: 3 }),
        async (length, cuts) => {
          const short = streamOf(
            frame.subarray(0, length),
            cuts.filter((cut) => cut < length),
          );
          await expect(readUpdate(short, optionsWith())).rejects.toMatchObject({
            code: "MALFORMED_MESSAGE",
          });
        },
      ),
      { numRuns: 50 },
    );
    const long = Buffer.concat([frame, Buffer.alloc(4)]);
    await expect(readUpdate(streamOf(long), optionsWith())).rejects.toMatchObject({
      code: "UPDATE_TOO_LARGE",
    });
    const announced = optionsWith({ maxBytes: long.length, contentLength: long.length });
    await expect(readUpdate(streamOf(long), announced)).rejects.toMatchObject({
      code: "MALFORMED_MESSAGE",
    });
  });

  it("[API19] whose sender goes away or is given up leaves no listener behind", async () => {
    const gone = new PassThrough();
    const reading = readUpdate(gone, optionsWith());
    gone.write(frame.slice(0, 80));
    gone.destroy();
    await expect(reading).rejects.toMatchObject({ code: "ABORTED" });

    const controller = new AbortController();
    const slow = new PassThrough();
    const listeners = () =>
      ["data", "end", "close", "error"].map((event) => slow.listenerCount(event));
    const before = listeners();
    const waiting = readUpdate(slow, optionsWith({ signal: controller.signal }));
    controller.abort(new FederatedError("UNAVAILABLE", "too slow"));
    await expect(waiting).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(listeners()).toEqual(before);
  });
});
