import type { Digest, ModelResource, TaskId } from "@tributary/protocol";
import { createLayout, encodeCheckpoint, encodeServingCopy, sha256 } from "@tributary/protocol";
import { expect, test } from "vitest";

import { fetchModel } from "./model-download.ts";

const layout = await createLayout([{ name: "w", shape: [3] }]);
const weights = Float32Array.of(1.5, -2, 0.25);
const frame = encodeCheckpoint(layout, { modelVersion: 7, weights });
const signed = { manifest: '{"format":1}', publicKey: "k", signature: "s" };
const model = {
  ...{ taskId: "digits" as TaskId, modelVersion: 7, bytes: frame.length, signed },
  digest: await sha256(frame),
} as unknown as ModelResource;

function serving(bytes: Uint8Array<ArrayBuffer>) {
  const asked: string[] = [];
  const open = async (path: string) => {
    asked.push(path);
    return new Response(bytes);
  };
  return { api: { open }, asked };
}

test("[DB51] a version is saved as its frame or its bare weights, once its digest is the one that was named", async () => {
  const { api, asked } = serving(frame);
  const whole = await fetchModel(api, model, layout, "frame");
  expect(whole).toEqual({ name: "digits-v7.ckpt", bytes: frame, isVerified: true });
  expect(asked).toEqual([`/v1/checkpoints/${model.digest}`]);
  const bare = await fetchModel(api, model, layout, "weights");
  expect(bare.name).toBe("digits-v7.f32");
  expect(bare.bytes).toEqual(new Uint8Array(weights.buffer));
  const manifest = await fetchModel(api, model, layout, "manifest");
  expect(manifest.name).toBe("digits-v7.manifest.json");
  expect(JSON.parse(new TextDecoder().decode(manifest.bytes))).toEqual(signed);
});

test("[DB51] other bytes are never saved", async () => {
  const changed = frame.slice();
  changed[changed.length - 1]! ^= 1;
  const refused = expect.objectContaining({ code: "CHECKPOINT_CORRUPT" }) as Error;
  for (const format of ["frame", "weights"] as const) {
    await expect(fetchModel(serving(changed).api, model, layout, format)).rejects.toThrow(refused);
  }
  const other = { ...model, digest: "0".repeat(64) as Digest };
  await expect(fetchModel(serving(frame).api, other, layout, "frame")).rejects.toThrow(refused);
});

test("[DB51] a copy for serving is saved by its own digest, and only where there is one", async () => {
  const made = encodeServingCopy(layout, { modelVersion: 7, weights }, "int8");
  made.run(0, made.length);
  const copy = new Uint8Array(made.bytes);
  const digest = await sha256(copy);
  const copies = { int8: { digest, bytes: copy.length, url: "/elsewhere" } };
  const { api, asked } = serving(copy);
  const saved = await fetchModel(api, { ...model, copies }, layout, "int8");
  expect(saved).toEqual({ name: "digits-v7.int8.ckpt", bytes: copy, isVerified: true });
  expect(asked).toEqual([`/v1/checkpoints/${digest}`]);
  const refuses = (code: string) => expect.objectContaining({ code }) as Error;
  await expect(fetchModel(api, model, layout, "int8")).rejects.toThrow(refuses("NOT_FOUND"));
  const wrong = fetchModel(serving(frame).api, { ...model, copies }, layout, "int8");
  await expect(wrong).rejects.toThrow(refuses("CHECKPOINT_CORRUPT"));
});
