import { PassThrough } from "node:stream";

import { createLayout, encodeUpdate } from "@tributary/protocol";
import { expect, test } from "vitest";

import { noSlots } from "../aggregation/update-slots.ts";
import { readUpdate } from "./read-update.ts";
import { BYTES_PER_TURN, createTurnBudget } from "./turn-budget.ts";

test("[IG6] a turn of the event loop takes so much, and the next one as much again", async () => {
  const budget = createTurnBudget(100);
  expect([budget.spend(60), budget.spend(39), budget.spend(1), budget.spend(1)]).toEqual([
    ...[true, true],
    ...[false, false],
  ]);
  const order: string[] = [];
  budget.nextTurn(() => order.push("first"));
  budget.nextTurn(() => order.push("second"));
  expect(order).toEqual([]);
  await new Promise((resolve) => setImmediate(resolve));
  expect(order).toEqual(["first", "second"]);
  expect(budget.spend(99)).toBe(true);
});

test("[IG6] while large updates are read from memory, everything else has its turns", async () => {
  const parameterCount = (4 * BYTES_PER_TURN) / 4;
  const layout = await createLayout([{ name: "w", shape: [parameterCount] }]);
  const delta = new Float32Array(parameterCount).fill(1);
  const frame = encodeUpdate(layout, { delta, numExamples: 1, metrics: {} });
  const body = new PassThrough({ highWaterMark: 2 * frame.length });
  for (let from = 0; from < frame.length; from += 65_536) {
    body.write(frame.subarray(from, from + 65_536));
  }
  body.end();
  let turns = 0;
  let isRead = false;
  const count = () => {
    turns += 1;
    if (!isRead) setImmediate(count);
  };
  setImmediate(count);
  const update = await readUpdate(body, {
    ...{ layout, encoding: { kind: "float32" }, slots: noSlots, contentLength: frame.length },
    ...{ maxBytes: frame.length, signal: new AbortController().signal, onBytes: () => {} },
  });
  isRead = true;
  expect(update.bytes).toBe(frame.length);
  expect(turns).toBeGreaterThanOrEqual(4);
});
