import { createClient } from "@tributary/client-sdk";
import { createFileCache } from "@tributary/client-sdk/node";
import type { TaskId } from "@tributary/protocol";
import { expect, test } from "vitest";

import { smallTask, startCoordinator } from "../support/coordinator.ts";
import { temporaryFolder } from "../support/folder.ts";
import { countingTrainer, sumPredictor } from "../support/trainers.ts";

const TASK = "small" as TaskId;
const AT_THE_END = { reason: "taskEnded", endReason: "maxRoundsReached" };
const backoff = { baseMs: 20, maxMs: 200 };

test("[EE1] SDK clients train round after round until the task ends, and the model moves as they do", async () => {
  await using running = await startCoordinator();
  await running.coordinator.tasks.create(
    smallTask({ stop: { maxRounds: 5 }, schedule: { minClients: 3 } }),
  );
  const clients = [1, 2, 3].map(() => createClient({ url: running.url }));
  const trainers = clients.map(() => countingTrainer({ step: 0.5 }));
  const ends = await Promise.all(
    clients.map((client, i) => client.join(TASK, { trainer: trainers[i]! }).done),
  );
  for (const end of ends) expect(end).toEqual(AT_THE_END);
  expect(trainers.map((trainer) => trainer.finished)).toEqual([5, 5, 5]);
  const served = clients[0]!.model(TASK, { predictor: sumPredictor });
  await served.ready;
  // What it had trained on serves at once; the newest a moment later.
  await served.refresh();
  expect(served.version).toBe(5);
  expect(await served.predict(null)).toBeCloseTo(7 * 5 * 0.5, 5);
  await Promise.all(clients.map((client) => client.close()));
});

test("[EE2] a coordinator that restarts in mid-round gets the finished updates again; none trains twice", async () => {
  await using folder = await temporaryFolder();
  const directory = folder.path;
  const storage = { kind: "sqlite", directory } as const;
  const first = await startCoordinator({ config: { storage } });
  await first.coordinator.tasks.create(
    smallTask({ stop: { maxRounds: 1 }, schedule: { reportWindowMs: 30_000 } }),
  );
  let open: () => void = () => {};
  const gate = new Promise<void>((resolve) => (open = resolve));
  const quick = countingTrainer();
  const slow = countingTrainer({ gate: () => gate });
  const clients = [1, 2].map(() => createClient({ url: first.url, backoff }));
  const joined = [quick, slow].map((trainer, i) => clients[i]!.join(TASK, { trainer }));
  await new Promise<void>((resolve) => joined[0]!.on("reported", () => resolve()));
  await first.coordinator.close();

  const port = Number(new URL(first.url).port);
  await using second = await startCoordinator({ config: { storage, server: { port } } });
  open();
  expect(await Promise.all(joined.map(({ done }) => done))).toEqual([AT_THE_END, AT_THE_END]);
  expect([quick.begun, slow.begun]).toEqual([1, 1]);
  expect(await second.coordinator.tasks.get(TASK)).toMatchObject({
    roundsCommitted: 1,
    roundsAbandoned: 0,
  });
  await Promise.all(clients.map((client) => client.close()));
});

test("[EE3] a third of the clients vanishing in every round costs no round", async () => {
  await using running = await startCoordinator({ config: { timing: { disconnectGraceMs: 50 } } });
  await running.coordinator.tasks.create(
    smallTask({
      stop: { maxRounds: 3 },
      schedule: { minClients: 6, minReports: 3, reportWindowMs: 3_000 },
    }),
  );
  const stop = new AbortController();
  const flaky = async () => {
    while (!stop.signal.aborted) {
      const client = createClient({ url: running.url, backoff });
      const vanishes = new Promise<void>((resolve) => {
        const participant = client.join(TASK, {
          trainer: countingTrainer(),
          accept: () => (resolve(), new Promise(() => {})),
        });
        void participant.done.then(() => resolve());
      });
      await vanishes;
      await client.close();
    }
  };
  const clients = [1, 2, 3, 4].map(() => createClient({ url: running.url, backoff }));
  const flakies = [flaky(), flaky()];
  await Promise.all(
    clients.map((client) => client.join(TASK, { trainer: countingTrainer() }).done),
  );
  stop.abort();
  await Promise.all([...flakies, ...clients.map((client) => client.close())]);
  const task = await running.coordinator.tasks.get(TASK);
  expect(task).toMatchObject({
    roundsCommitted: 3,
    roundsAbandoned: 0,
    endReason: "maxRoundsReached",
  });
});

test("[EE4] a served model follows publications, survives the coordinator, and works offline from its cache", async () => {
  await using folder = await temporaryFolder();
  const directory = folder.path;
  const running = await startCoordinator();
  await running.coordinator.tasks.create(smallTask({ stop: { maxRounds: 2 } }));
  const cache = createFileCache({ directory });
  const watcher = createClient({ url: running.url, cache, backoff });
  const served = watcher.model(TASK, { predictor: sumPredictor });
  await served.ready;
  expect(served.version).toBe(0);
  const clients = [1, 2].map(() => createClient({ url: running.url }));
  const second = new Promise<void>((resolve) =>
    served.on("update", ({ modelVersion }) => modelVersion === 2 && resolve()),
  );
  await Promise.all(
    clients.map((client) => client.join(TASK, { trainer: countingTrainer() }).done),
  );
  await second;
  expect(await served.predict(null)).toBe(14);
  await Promise.all(clients.map((client) => client.close()));
  await running.coordinator.close();
  expect(await served.predict(null)).toBe(14);
  await watcher.close();

  const offline = createClient({
    url: running.url,
    cache: createFileCache({ directory }),
    backoff,
  });
  const again = offline.model(TASK, { predictor: sumPredictor });
  await again.ready;
  expect([again.version, await again.predict(null)]).toEqual([2, 14]);
  await offline.close();
});
