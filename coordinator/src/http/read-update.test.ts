import { PassThrough } from "node:stream";

import { checksumOf, createLayout, encodeUpdate, FederatedError } from "@tributary/protocol";
import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { denseDelta } from "../aggregation/encoded-delta.ts";
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
  signal: new AbortController().signal,
  onBytes: () => {},
  ...options,
});

/** The body cut at these places. */
function streamOf(bytes: Uint8Array, cuts: readonly number[] = []): PassThrough {
  const body = new PassThrough();
  const edges = [0, ...[...cuts].sort((a, b) => a - b), bytes.length];
  for (let i = 1; i < edges.length; i++) body.write(bytes.subarray(edges[i - 1], edges[i]));
  body.end();
  return body;
}

describe("an update off the wire", () => {
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
    gone.write(frame.subarray(0, 80));
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
