import type { ModelManifest, TaskId } from "@tributary/protocol";
import {
  createLayout,
  encodeCheckpoint,
  signingKeyFromSeed,
  signManifest,
} from "@tributary/protocol";
import { expect, test } from "vitest";

import { encodeOptimizerState } from "../aggregation/server-optimizer.ts";
import type { TaskRecord } from "../ports.ts";
import { createMemoryBlobs, createMemoryStore } from "../storage/memory.ts";
import { resolveTaskSpec } from "../task/spec.ts";
import { createBlobKeeper } from "./blob-keeper.ts";
import { createModelRegistry } from "./registry.ts";

test("[EG8] only what was published is served by its digest: no version that was dropped, no state of an optimizer", async () => {
  const store = createMemoryStore();
  const blobs = createBlobKeeper(createMemoryBlobs(), (digest) => store.isReferenced(digest));
  const shelf = createModelRegistry({ store, blobs }, { keepInMemory: 4 });
  const spec = resolveTaskSpec({ taskId: "t", model: { tensors: [{ name: "w", shape: [2] }] } });
  const layout = await createLayout(spec.model.tensors);
  const taskId = "t" as TaskId;
  const frameOf = (first: number) =>
    encodeCheckpoint(layout, { modelVersion: 0, weights: Float32Array.of(first, 0) });
  const dropped = await shelf.save(frameOf(1));
  const published = await shelf.save(frameOf(2));
  const optimizerState = await blobs.put(encodeOptimizerState("momentum", [Float64Array.of(3, 4)]));
  const notThere = { code: "MODEL_NOT_FOUND" };
  for (const digest of [dropped, published, optimizerState]) {
    await expect(shelf.checkpoint(digest)).rejects.toMatchObject(notThere);
  }
  const task: TaskRecord = { taskId, spec, layout, state: "running", createdAt: 0 };
  const manifest = JSON.stringify({ format: 1 } satisfies Partial<ModelManifest>);
  const signed = await signManifest(manifest, await signingKeyFromSeed(new Uint8Array(32)));
  const bytes = frameOf(2).length;
  await store.createTask(task, {
    ...{ taskId, modelVersion: 0, digest: published, bytes, createdAt: 0, optimizerState, signed },
  });
  expect(await shelf.checkpoint(published)).toEqual(frameOf(2));
  for (const digest of [dropped, optimizerState]) {
    await expect(shelf.checkpoint(digest)).rejects.toMatchObject(notThere);
  }
});
