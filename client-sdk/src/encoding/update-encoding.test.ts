import type { Assignment, TaskId } from "@tributary/protocol";
import { createLayout, roundIdOf } from "@tributary/protocol";
import { expect, test } from "vitest";

import type { FeedbackStore } from "./feedback-store.ts";
import { createMemoryFeedback } from "./feedback-store.ts";
import { createUpdateEncoding } from "./update-encoding.ts";

const TASK = "digits" as TaskId;
const ORIGIN = "https://a.example";
const layout = await createLayout([{ name: "w", shape: [40] }]);
const encoding = { kind: "topK", fraction: 0.1, values: "float32", feedback: true } as const;
const roundId = roundIdOf(TASK, 1);
const assignment = {
  ...{ roundId, plan: { encoding }, checkpoint: { modelVersion: 0 } },
} as unknown as Assignment;
const update = { delta: new Float32Array(40).fill(1), numExamples: 3, metrics: {} };

/** What it is told to keep is there only later, as on a disk. */
function open() {
  const memory = createMemoryFeedback();
  let onPut = (): void => undefined;
  const store: FeedbackStore = {
    ...memory,
    put: async (origin, taskId, bytes) => {
      onPut();
      for (let i = 0; i < 50; i++) await Promise.resolve();
      await memory.put(origin, taskId, bytes);
    },
  };
  const faults: unknown[] = [];
  const own = createUpdateEncoding(store, { origin: ORIGIN, taskId: TASK }, (error) =>
    faults.push(error),
  );
  const encode = () => {
    own.begins(roundId, assignment.plan);
    const { signal } = new AbortController();
    return own.encode({ assignment, layout, update, clientKey: "me", signal });
  };
  /** Resolves when the store has begun to write. */
  const isWriting = () => new Promise<void>((resolve) => (onPut = resolve));
  return { own, encode, faults, isWriting, left: () => memory.get(ORIGIN, TASK) };
}

test("[EC9] what is being written when feedback is forgotten is forgotten as well", async () => {
  const { own, encode, faults, isWriting, left } = open();
  await encode();
  expect(await left()).toBeDefined();
  // The end of a task comes right after its last receipt.
  const writing = isWriting();
  const reported = own.reported({ roundId } as never);
  await writing;
  await Promise.all([reported, own.forget()]);
  expect(await left()).toBeUndefined();
  expect(faults).toEqual([]);
});

test("[EC9] an update that was begun before leaves nothing behind", async () => {
  const { own, encode, left } = open();
  await encode();
  await Promise.all([encode(), own.forget()]);
  expect(await left()).toBeUndefined();
  await encode();
  expect(await left()).toBeDefined();
});
