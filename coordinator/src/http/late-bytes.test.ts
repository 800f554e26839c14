import { PassThrough } from "node:stream";
import { setImmediate } from "node:timers/promises";

import { createLayout, encodeUpdate } from "@tributary/protocol";
import { expect, test } from "vitest";

import { openDeltaSum } from "../aggregation/kernel/open-kernel.ts";
import { createSumMemories } from "../aggregation/kernel/sum-memories.ts";
import type { UpdateSlot } from "../aggregation/update-slots.ts";
import { readUpdate } from "./read-update.ts";

const LENGTH = 10_000;

test("[KN11] bytes that come after the reading of an upload has ended are written nowhere", async () => {
  const layout = await createLayout([{ name: "w", shape: [LENGTH] }]);
  const delta = new Float32Array(LENGTH).fill(3);
  const frame = encodeUpdate(layout, { delta, numExamples: 1, metrics: {} });
  const memories = createSumMemories();
  const sum = openDeltaSum(LENGTH, { memories });
  let slot: UpdateSlot | undefined;
  const ending = new AbortController();
  const body = new PassThrough();
  const reading = readUpdate(body, {
    ...{ layout, encoding: { kind: "float32" }, maxBytes: frame.length },
    ...{ contentLength: frame.length, signal: ending.signal, onBytes: () => {} },
    slots: { take: (bytes) => (slot = sum.slots.take(bytes)) },
  });
  const half = frame.length / 2;
  body.write(frame.slice(0, half));
  await setImmediate();
  expect(slot?.bytes.some((byte) => byte !== 0)).toBe(true);
  sum.close();
  expect(memories.idleBytes).toBe(0);
  ending.abort(new Error("it took too long"));
  await expect(reading).rejects.toThrow("took too long");
  slot?.release();
  const next = openDeltaSum(LENGTH, { memories });
  const memory = next.sum().buffer;
  expect(memory).toBe(slot?.bytes.buffer);
  body.end(frame.slice(half));
  body.resume();
  await setImmediate();
  expect(new Uint8Array(memory).every((byte) => byte === 0)).toBe(true);
});
