import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { ModelManifest, PrivacyResource, TaskId, TaskResource } from "@tributary/protocol";
import { isFederatedError } from "@tributary/protocol";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { createKeyRing } from "../../coordinator/src/storage/seal.ts";
import { loadSqliteDriver } from "../../coordinator/src/storage/sqlite-driver.ts";
import { verifyStore } from "../../coordinator/src/storage/verify.ts";
import type { RunningCoordinator } from "../support/coordinator.ts";
import { smallTask, startCoordinator } from "../support/coordinator.ts";
import { connectRaw, newClientKey } from "../support/raw-client.ts";

const TASK = "small" as TaskId;
const PAIRS = [0, 1, 2].map(() => [newClientKey(), newClientKey()] as const);
const privacy = {
  mechanism: "matrix",
  noiseMultiplier: 2,
  delta: 1e-5,
  maxEpsilon: 4,
  rounds: 6,
  minSeparation: 3,
  maxParticipations: 2,
} as const;

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "tributary-matrix-"));
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

const start = () => startCoordinator({ config: { storage: { kind: "sqlite", directory } } });
const get = async <T>(url: string) => (await (await fetch(url)).json()) as T;

/** One round of these two clients, over sockets and HTTP, to its end. */
async function playRound({ url }: RunningCoordinator, keys: readonly string[]): Promise<void> {
  const clients = await Promise.all(keys.map((clientKey) => connectRaw(url, { clientKey })));
  const replies = await Promise.all(clients.map((client) => client.checkIn(TASK)));
  await Promise.all(
    clients.map(async (client, i) => {
      const assignment = replies[i]!.assignment ?? (await client.nextAssignment());
      expect(assignment.plan.participation).toEqual({ minSeparation: 3, maxParticipations: 2 });
      await client.report(assignment, replies[i]!.task.layout, {
        delta: new Float32Array(7).fill(0.1),
        numExamples: 1,
        metrics: {},
      });
      expect(await client.nextClosed()).toMatchObject({ outcome: "committed" });
    }),
  );
  await Promise.all(clients.map((client) => client[Symbol.asyncDispose]()));
}

async function refusalAt({ url }: RunningCoordinator, clientKey: string): Promise<unknown> {
  await using client = await connectRaw(url, { clientKey });
  return await client.checkIn(TASK).then(
    () => undefined,
    (error: unknown) => (isFederatedError(error) ? error.code : error),
  );
}

describe("a task under a matrix mechanism", () => {
  test("[MM15] trains to its end over sockets and restarts: limits hold across them, and epsilon is the run's", async () => {
    let running = await start();
    await running.coordinator.tasks.create(
      smallTask({ privacy, clippingNorm: 1, schedule: { minClients: 2, minReports: 2 } }),
    );
    const shown = () => get<PrivacyResource>(`${running.url}/v1/tasks/small/privacy`);
    try {
      expect(await shown()).toMatchObject({ epsilon: 0, rounds: 0, roundsLeft: 6 });
      for (let step = 0; step < privacy.rounds; step++) {
        await playRound(running, PAIRS[step % 3]!);
        if (step < 3) {
          expect(await refusalAt(running, PAIRS[step]![0])).toBe("RATE_LIMITED");
          // What a client has done, and the noise that is to be taken back, outlive the process.
          await running[Symbol.asyncDispose]();
          running = await start();
          expect(await refusalAt(running, PAIRS[step]![1])).toBe("RATE_LIMITED");
        } else if (step < 5) {
          expect(await refusalAt(running, PAIRS[step % 3]![0])).toBe("PRIVACY_BUDGET_EXHAUSTED");
        }
      }
      await running.until(
        (event) => event.type === "task:stateChanged" && event.data.state === "ended",
      );
      const task = await get<TaskResource>(`${running.url}/v1/tasks/small`);
      expect(task).toMatchObject({ endReason: "maxRoundsReached", roundsCommitted: 6 });
      const resource = await shown();
      expect(resource).toMatchObject({
        mechanism: "matrix",
        adjacency: "zero-out",
        against: "released-models",
        accountant: "exact-gaussian",
        factorization: "blt",
        ...{ rounds: 6, roundsLeft: 0, minSeparation: 3, maxParticipations: 2 },
      });
      // Analytic Gaussian of z = 2 at delta = 1e-5, from independent code.
      expect(resource).toHaveProperty("epsilon", expect.closeTo(1.9930914044151198, 9));
      const { signed } = task.checkpoint;
      const manifest = JSON.parse(signed.manifest) as ModelManifest;
      expect(manifest.privacy.statement).toContain("epsilon = 1.994 and delta = 0.00001");
      for (const part of [
        "neighbours: one client's parts zeroed out",
        "for the whole run of 6 rounds, of which 6 are done",
        "No client is in more than 2 rounds, nor in two that are less than 3 apart",
        "where an adversary chooses them",
        "the noise state, a secret",
        "k of them together are protected as if the noise were divided by k",
      ]) {
        expect(manifest.privacy.statement).toContain(part);
      }
    } finally {
      await running[Symbol.asyncDispose]();
    }
  });

  test("[OPS4] a noise state that is missing, damaged or another step's is a fault, sealed or plain", async () => {
    const key = randomBytes(32);
    const spec = smallTask({
      privacy,
      clippingNorm: 1,
      schedule: { minClients: 2, minReports: 2 },
    });
    const keySettings: { encryptionKey?: string }[] = [{}, { encryptionKey: key.toString("hex") }];
    for (const storage of keySettings) {
      const folder = join(directory, `${Object.keys(storage).length}`);
      const config = { storage: { kind: "sqlite", directory: folder, ...storage } } as const;
      const open = async () => (await loadSqliteDriver()).connect(join(folder, "tributary.sqlite"));
      const where = "FROM secrets WHERE name = 'noise of task small'";
      const stateNow = async () => {
        const database = await open();
        const value = database.prepare(`SELECT value ${where}`).get()?.value as Uint8Array;
        database.close();
        return value;
      };
      {
        await using running = await startCoordinator({ config });
        await running.coordinator.tasks.create(spec);
        await playRound(running, PAIRS[0]!);
      }
      const former = await stateNow();
      {
        await using running = await startCoordinator({ config });
        await playRound(running, PAIRS[1]!);
      }
      const ring = createKeyRing(storage);
      const keys = ring === undefined ? {} : { keys: ring };
      const faults = async () => (await verifyStore(folder, keys)).faults;
      expect(await faults()).toEqual([]);
      const value = await stateNow();
      const damaged = value.map((byte, i) => (i === 60 ? byte ^ 1 : byte));
      for (const wrong of [former, damaged, undefined]) {
        const database = await open();
        database.prepare(`DELETE ${where}`).run();
        if (wrong !== undefined) {
          database
            .prepare("INSERT INTO secrets (name, value) VALUES (?, ?)")
            .run("noise of task small", wrong);
        }
        database.close();
        expect(await faults()).toEqual([
          {
            where: "noise of task small",
            message: expect.stringContaining("noise state") as string,
          },
        ]);
      }
    }
  });
});
