/** Data directories of real coordinators, for tests that look at them, damage them or take them back. */

import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { ConfigInput } from "@tributary/coordinator";
import type { TaskSpecInput, Update } from "@tributary/protocol";

import type { RunningCoordinator } from "./coordinator.ts";
import { smallTask, startCoordinator } from "./coordinator.ts";
import type { RawClient } from "./raw-client.ts";
import { connectRaw } from "./raw-client.ts";

export const smallUpdate = (value: number): Update => ({
  delta: new Float32Array(7).fill(value),
  numExamples: 1,
  metrics: {},
});

/** Two tasks' worth of everything: optimizer states, and a ledger. */
export const plainTask = smallTask({
  serverOptimizer: { kind: "momentum", learningRate: 1, momentum: 0.5 },
});
export const privateTask: TaskSpecInput = smallTask({
  taskId: "private",
  clippingNorm: 1,
  privacy: { mechanism: "central", noiseMultiplier: 4, delta: 1e-5, maxEpsilon: 50 },
});
/** The same two clients may be in each of its steps. */
export const matrixTask: TaskSpecInput = smallTask({
  taskId: "matrix",
  clippingNorm: 1,
  privacy: {
    ...{ mechanism: "matrix", noiseMultiplier: 4, delta: 1e-5, maxEpsilon: 50 },
    ...{ rounds: 8, minSeparation: 1, maxParticipations: 8 },
  },
});

export interface DataFolder extends AsyncDisposable {
  readonly path: string;
  readonly start: (config?: ConfigInput) => Promise<RunningCoordinator>;
}

/** A folder with room for `data` and `backups`. */
export async function makeDataFolder(): Promise<DataFolder> {
  const path = await mkdtemp(join(tmpdir(), "tributary-data-"));
  return {
    path,
    start: (config = {}) =>
      startCoordinator({
        config: {
          storage: {
            kind: "sqlite",
            directory: join(path, "data"),
            backupDirectory: join(path, "backups"),
          },
          auth: { adminToken: ADMIN },
          ...config,
        },
      }),
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  };
}

export const ADMIN = "an-admin-token-for-tests";

/** One whole round of `taskId` with these clients. */
export async function playRound(
  running: RunningCoordinator,
  clients: readonly RawClient[],
  taskId: string,
  update: Update = smallUpdate(0.1),
): Promise<void> {
  const replies = await Promise.all(clients.map((client) => client.checkIn(taskId)));
  await Promise.all(
    clients.map(async (client, i) => {
      const assignment = replies[i]!.assignment ?? (await client.nextAssignment());
      await client.report(assignment, replies[i]!.task.layout, update);
      await client.nextClosed();
    }),
  );
}

export const connectTwo = (url: string): Promise<RawClient[]> =>
  Promise.all([connectRaw(url), connectRaw(url)]);

export const disconnect = (clients: readonly RawClient[]): Promise<unknown> =>
  Promise.all(clients.map((client) => client[Symbol.asyncDispose]()));

/** A round of two clients that come for it and go: each moves the weights by `delta`. */
export async function moveBy(
  running: RunningCoordinator,
  taskId: string,
  roundNumber: number,
  delta: Float32Array,
): Promise<void> {
  const clients = await connectTwo(running.url);
  await playRound(running, clients, taskId, { delta, numExamples: 1, metrics: {} });
  await running.roundEnded(roundNumber);
  await disconnect(clients);
}

/** Every file below the directory with the SHA-256 of its bytes. */
export async function fingerprintOf(directory: string): Promise<Record<string, string>> {
  const prints: Record<string, string> = {};
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = join(entry.parentPath, entry.name);
    prints[file.slice(directory.length + 1)] = createHash("sha256")
      .update(await readFile(file))
      .digest("hex");
  }
  return prints;
}
