import type {
  CheckpointRef,
  KeysResource,
  ModelPublished,
  ModelResource,
  Page,
  TaskBrief,
  TaskId,
  TaskResource,
} from "@tributary/protocol";
import { openManifest, PROTOCOL_VERSION, routes } from "@tributary/protocol";
import { expect, test } from "vitest";

import { smallTask, startCoordinator } from "../support/coordinator.ts";
import { connectRaw } from "../support/raw-client.ts";

const TASK = "small" as TaskId;
const ADMIN = "an-admin-token-of-this-test";

/** The key that vouches for the reference; throws unless the signature is genuine and about it. */
async function signerOf(checkpoint: CheckpointRef, layoutDigest: never): Promise<string> {
  await openManifest(checkpoint.signed, { ...checkpoint, taskId: TASK, layoutDigest });
  return checkpoint.signed.publicKey;
}

test("[SIG16] wherever a version is named its signed manifest stands, by the key in force", async () => {
  await using running = await startCoordinator({ config: { auth: { adminToken: ADMIN } } });
  const { coordinator, url } = running;
  await coordinator.tasks.create(smallTask());
  const get = async <T>(path: string) => (await (await fetch(url + path)).json()) as T;
  const post = (path: string, token?: string) =>
    fetch(url + path, {
      method: "POST",
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    });
  await using first = await connectRaw(url);
  await using second = await connectRaw(url);
  const watched = await first.ask<TaskBrief>("watch", {
    protocolVersion: PROTOCOL_VERSION,
    taskId: TASK,
  });
  const layoutDigest = watched.layout.digest as never;
  const update = { delta: new Float32Array(7).fill(1), numExamples: 1, metrics: {} };

  /** A round, and every reference that is given of its base and of what it made. */
  async function round(number: number): Promise<CheckpointRef[]> {
    const replies = [await first.checkIn(TASK), await second.checkIn(TASK)];
    const places = [await first.nextAssignment(), await second.nextAssignment()];
    for (const [i, client] of [first, second].entries()) {
      await client.report(places[i]!, replies[i]!.task.layout, update);
    }
    const published = await first.next<ModelPublished>("model:published");
    const ended = await running.until(
      ({ type, data }) => type === "model:published" && data.modelVersion === number,
    );
    return [
      ...replies.map(({ task }) => task.checkpoint),
      ...places.map(({ checkpoint }) => checkpoint),
      published.checkpoint,
      ended.data as ModelResource,
      (await get<TaskResource>(routes.task.path({ taskId: TASK }))).checkpoint,
      await get<ModelResource>(routes.model.path({ taskId: TASK, modelVersion: number })),
      await get<ModelResource>(routes.model.path({ taskId: TASK, modelVersion: "latest" })),
    ];
  }

  const before = coordinator.keys.publicKey;
  expect(await signerOf(watched.checkpoint, layoutDigest)).toBe(before);
  for (const ref of await round(1)) expect(await signerOf(ref, layoutDigest)).toBe(before);

  expect((await post(routes.rotateKeys.path())).status).toBe(401);
  expect((await post(routes.rotateKeys.path(), "not-the-admin-token")).status).toBe(403);
  expect(coordinator.keys.publicKey).toBe(before);
  const rotated = await post(routes.rotateKeys.path(), ADMIN);
  const record = (await rotated.json()) as KeysResource["keys"][number];
  expect(record).toMatchObject({
    publicKey: coordinator.keys.publicKey,
    previous: { publicKey: before },
  });
  expect(await get<KeysResource>(routes.keys.path())).toEqual({
    keys: [{ publicKey: before, createdAt: expect.any(String) }, record],
  });

  // At once, also for the version that was there: nobody needs the former key for it.
  const { checkpoint } = await first.ask<TaskBrief>("watch", {
    protocolVersion: PROTOCOL_VERSION,
    taskId: TASK,
  });
  expect(checkpoint.modelVersion).toBe(1);
  expect(await signerOf(checkpoint, layoutDigest)).toBe(record.publicKey);
  for (const ref of await round(2)) {
    expect(await signerOf(ref, layoutDigest)).toBe(record.publicKey);
  }
  const page = await get<Page<ModelResource>>(routes.models.path({ taskId: TASK }));
  const signers = await Promise.all(page.items.map((model) => signerOf(model, layoutDigest)));
  expect(signers).toEqual([record.publicKey, record.publicKey, before]);
  const [, newest] = page.items;
  expect(JSON.parse(page.items[0]!.signed.manifest)).toMatchObject({
    parent: { modelVersion: 1, digest: newest!.digest },
    roundNumber: 2,
  });
});
