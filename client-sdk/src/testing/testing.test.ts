import { decodeCheckpoint, parseTaskId } from "@tributary/protocol";
import { expect, test } from "vitest";

import { createClient } from "../client.ts";
import { startTestCoordinator } from "./coordinator.ts";
import { createTrivialTrainer } from "./trivial-trainer.ts";

test("[SDK70] an app's test trains a model with a real coordinator in its own process", async () => {
  await using coordinator = await startTestCoordinator();
  const taskId = parseTaskId("tiny");
  const { layout } = await coordinator.tasks.create({
    taskId,
    model: { tensors: [{ name: "w", shape: [3] }] },
    schedule: { minClients: 2, minReports: 2 },
    stop: { maxRounds: 3 },
  });
  const trainers = [createTrivialTrainer({ step: 1 }), createTrivialTrainer({ step: 2 })];
  const clients = trainers.map(() => createClient({ url: coordinator.url }));
  const ends = await Promise.all(
    clients.map((client, i) => client.join(taskId, { trainer: trainers[i]! }).done),
  );
  await Promise.all(clients.map((client) => client.close()));
  expect(ends).toEqual(Array(2).fill({ reason: "taskEnded", endReason: "maxRoundsReached" }));
  expect(trainers.map(({ trainings }) => trainings)).toEqual([3, 3]);
  const { digest, modelVersion } = await coordinator.models.get(taskId, "latest");
  const { weights } = decodeCheckpoint(layout, await coordinator.models.checkpoint(digest));
  expect(modelVersion).toBe(3);
  expect(weights).toEqual(new Float32Array(3).fill(4.5));
});
