/** The wire fuzzed while honest clients work: what must hold of the process under attack. */

import { createClient } from "@tributary/client-sdk";
import type { TaskId } from "@tributary/protocol";

import { smallTask } from "../support/coordinator.ts";
import type { Vitals } from "../support/coordinator-process.ts";
import { startCoordinatorProcess } from "../support/coordinator-process.ts";
import { temporaryFolder } from "../support/folder.ts";
import { connectRaw } from "../support/raw-client.ts";
import { countingTrainer } from "../support/trainers.ts";
import type { WireReport } from "./wire.ts";
import { fuzzWire } from "./wire.ts";

const HONEST = smallTask({ taskId: "honest", schedule: { pauseBetweenRoundsMs: 50 } });
const TARGET = smallTask({
  taskId: "target",
  // The second report never comes, so the round takes and refuses updates to the end.
  schedule: { reportWindowMs: 3_600_000 },
});
/** All from one address, which would else be told to wait: here the parsers are tried, not the limits. */
const UNLIMITED = 1_000_000;

export interface WireAttack extends WireReport {
  readonly seconds: number;
  readonly before: Vitals;
  readonly after: Vitals;
  /** Rounds of the honest that were committed meanwhile, and the model that they made. */
  readonly honestRounds: number;
  readonly weights: readonly number[];
  readonly alive: boolean;
  /** Lines of the log that tell of a fault of the coordinator's own. */
  readonly errors: readonly string[];
}

export async function attackWire(cases: number, seed: number): Promise<WireAttack> {
  await using folder = await temporaryFolder();
  await using running = await startCoordinatorProcess({
    directory: folder.path,
    tasks: [HONEST, TARGET],
    config: {
      limits: {
        requestsPerSecondPerAddress: UNLIMITED,
        failedAuthenticationsPerSecondPerAddress: UNLIMITED,
      },
    },
  });
  const { url } = running;
  const clients = [1, 2].map(() => createClient({ url, backoff: { baseMs: 10, maxMs: 100 } }));
  for (const client of clients) client.join(HONEST.taskId, { trainer: countingTrainer() });
  await using seated = await connectRaw(url);
  await using silent = await connectRaw(url);
  const taskId = TARGET.taskId as TaskId;
  const [{ task, assignment }] = await Promise.all([
    seated.checkIn(taskId),
    silent.checkIn(taskId),
  ]);
  const place = assignment ?? (await seated.nextAssignment());

  // The first thousands warm the process up; what grows after them grows with the attack.
  await fuzzWire({
    url,
    cases: Math.min(cases, 1_000),
    seed: seed + 99,
    place,
    layout: task.layout,
  });
  const before = await running.vitals();
  const begun = performance.now();
  const report = await fuzzWire({ url, cases, seed, place, layout: task.layout });
  const seconds = (performance.now() - begun) / 1_000;
  const after = await running.vitals();
  await Promise.all(clients.map((client) => client.close()));
  const rounds = await running.rounds(HONEST.taskId);
  const newest = Math.max(0, ...rounds.map(({ modelVersion }) => modelVersion ?? 0));
  const weights = newest === 0 ? [] : [...(await running.weights(HONEST, newest))];
  const errors = running
    .output()
    .split("\n")
    .filter((line) => line.includes('"level":"error"'));
  return {
    ...{ ...report, seconds, before, after, honestRounds: newest, weights, errors },
    alive: running.isAlive(),
  };
}
