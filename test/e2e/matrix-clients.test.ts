/** A matrix run with real clients: their own records of taking part agree with an honest coordinator, and stop a forgetful one. */

import { join } from "node:path";

import type { Client, PrivacyLedgerStore } from "@tributary/client-sdk";
import { createClient, createMemoryLedger } from "@tributary/client-sdk";
import type { TaskId } from "@tributary/protocol";
import { expect, test } from "vitest";

import { openSqliteDatabase } from "../../coordinator/src/storage/sqlite-database.ts";
import { smallTask } from "../support/coordinator.ts";
import type { DataFolder } from "../support/data.ts";
import { makeDataFolder } from "../support/data.ts";
import { countingTrainer } from "../support/trainers.ts";

const TASK = "small" as TaskId;
const run = {
  mechanism: "matrix",
  noiseMultiplier: 2,
  delta: 1e-5,
  maxEpsilon: 4,
  rounds: 4,
  minSeparation: 2,
  maxParticipations: 2,
} as const;
const task = smallTask({ privacy: run, clippingNorm: 1 });

interface Participant {
  readonly client: Client;
  readonly ledger: PrivacyLedgerStore;
  readonly trainer: ReturnType<typeof countingTrainer>;
}

function participant(url: string, ledger = createMemoryLedger()): Participant {
  const client = createClient({ url, backoff: { baseMs: 5, maxMs: 50 }, privacy: { ledger } });
  return { client, ledger, trainer: countingTrainer() };
}

const joined = ({ client, trainer }: Participant) => client.join(TASK, { trainer });

/** What the client itself has on record. */
async function recordOf(ledger: PrivacyLedgerStore): Promise<{ count: number; lastStep: number }> {
  const [, body = ""] = ((await ledger.read())?.text ?? "").split("\n");
  const { accounts } = JSON.parse(body) as {
    accounts: { participations: { count: number; lastStep: number } }[];
  };
  const { count, lastStep } = accounts[0]!.participations;
  return { count, lastStep };
}

/** The coordinator's own file, which nothing has open. */
async function inDatabase<T>(
  { path }: DataFolder,
  work: (database: Awaited<ReturnType<typeof openSqliteDatabase>>) => T,
): Promise<T> {
  const database = await openSqliteDatabase(join(path, "data", "tributary.sqlite"));
  try {
    return work(database);
  } finally {
    database.close();
  }
}

test("[MM17] of an honest run clients and coordinator have the same record, and nobody refuses a place", async () => {
  await using folder = await makeDataFolder();
  const participants: Participant[] = [];
  {
    await using running = await folder.start();
    await running.coordinator.tasks.create(task);
    participants.push(...[0, 1, 2, 3].map(() => participant(running.url)));
    const parts = participants.map(joined);
    for (const end of await Promise.all(parts.map(({ done }) => done))) {
      // The first pair has had its share one step before the end.
      expect(["taskEnded", "privacyBudgetSpent"]).toContain(end.reason);
    }
    const { items } = await running.coordinator.tasks.rounds(TASK, { limit: 10 });
    expect(items).toHaveLength(4);
    for (const { phase, participants: counts } of items) {
      expect({ phase, ...counts }).toMatchObject({ phase: "committed", selected: 2, reported: 2 });
    }
    await Promise.all(participants.map(({ client }) => client.close()));
  }
  expect(participants.map(({ trainer }) => trainer.begun)).toEqual([2, 2, 2, 2]);
  const own = await Promise.all(participants.map(({ ledger }) => recordOf(ledger)));
  const kept = await inDatabase(folder, (database) =>
    database.prepare("SELECT count, last_step AS lastStep FROM participations").all(),
  );
  // A client counts by the version that its step was to make: steps from 0 make versions from 1.
  const sorted = (records: readonly { count: unknown; lastStep: unknown }[], from: number) =>
    records.map(({ count, lastStep }) => [count, Number(lastStep) - from]).sort();
  expect(sorted(own, 1)).toEqual(sorted(kept as unknown as typeof own, 0));
});

test("[MM17] clients refuse a coordinator that has forgotten who took part: too early, and once they had their share", async () => {
  await using folder = await makeDataFolder();
  let port = 0;
  const start = async () => {
    const running = await folder.start({
      storage: { kind: "sqlite", directory: join(folder.path, "data") },
      server: { host: "127.0.0.1", port },
    });
    port = Number(new URL(running.url).port);
    return running;
  };
  const forget = () =>
    inDatabase(folder, (database) => {
      database.prepare("DROP TRIGGER IF EXISTS participations_forget_nothing").run();
      database.prepare("DELETE FROM participations").run();
    });
  const ledgers = [createMemoryLedger(), createMemoryLedger()];
  const pair = (url: string, from = [createMemoryLedger(), createMemoryLedger()]) =>
    from.map((ledger) => participant(url, ledger));
  const leave = (participants: readonly Participant[]) =>
    Promise.all(participants.map(({ client }) => client.close()));

  {
    await using running = await start();
    await running.coordinator.tasks.create(task);
    const first = pair(running.url, ledgers);
    first.forEach(joined);
    await running.roundEnded(1);
    await leave(first);
  }
  await forget();
  {
    await using running = await start();
    const early = pair(running.url, ledgers);
    early.forEach(joined);
    expect(await running.roundEnded(2)).toMatchObject({
      phase: "abandoned",
      participants: { selected: 2, declined: 2, reported: 0 },
    });
    await leave(early);
    expect(early.map(({ trainer }) => trainer.begun)).toEqual([0, 0]);
    expect(await running.coordinator.tasks.privacy(TASK)).toMatchObject({ rounds: 1 });
    const others = pair(running.url);
    others.forEach(joined);
    await running.until(({ type }) => type === "model:published");
    await leave(others);
    // Now it is time, also by their own record.
    const again = pair(running.url, ledgers);
    again.forEach(joined);
    await running.until(
      (event) => event.type === "model:published" && event.data.modelVersion === 3,
    );
    await leave(again);
  }
  expect(await recordOf(ledgers[0]!)).toEqual({
    count: 2,
    lastStep: 3,
  });
  await forget();
  await using running = await start();
  const spent = pair(running.url, ledgers);
  for (const { done } of spent.map(joined)) {
    expect(await done).toMatchObject({
      reason: "privacyBudgetSpent",
      error: { code: "PRIVACY_BUDGET_EXHAUSTED", details: { refused: "participations" } },
    });
  }
  expect(spent.map(({ trainer }) => trainer.begun)).toEqual([0, 0]);
  await leave(spent);
});
