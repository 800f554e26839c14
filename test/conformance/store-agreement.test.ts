import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { TaskId } from "@tributary/protocol";
import { isFederatedError, roundIdOf } from "@tributary/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";

import type { Store } from "../../coordinator/src/ports.ts";
import { createMemoryStore } from "../../coordinator/src/storage/memory.ts";
import { createSqliteStore } from "../../coordinator/src/storage/sqlite.ts";
import {
  abandonedRound,
  clientIds,
  commitOf,
  evaluation,
  openRound,
  reservation,
  taskId,
  taskRecord,
  versionRecord,
} from "./records.ts";
import { everythingOf } from "./store.ts";

/** A call on a store, and in words what it was. */
interface Call {
  readonly words: string;
  readonly run: (store: Store) => Promise<unknown>;
}

const TASKS = ["a", "b", "c"] as const;
const CLIENTS = clientIds(4);

/** Task "c" has yet to be created by one of the calls. */
const task = fc.constantFrom("a", "a", "a", "b", "b", "b", "c");
const small = fc.integer({ min: 0, max: 4 });
const clients = fc.shuffledSubarray(CLIENTS);
const page = fc.record(
  { before: fc.integer({ min: 0, max: 6 }), limit: fc.integer({ min: 0, max: 4 }) },
  { requiredKeys: ["limit"] },
);
const call = (words: string, run: Call["run"]): Call => ({ words, run });

/**
 * The end of a round as it would be right, with a fault in every other: a sequence of free guesses would
 * hardly ever get past its first round.
 */
const ending = fc.record({
  name: task,
  /** Opens a round first where none is open, and pays for it where that is due. */
  prepared: fc.constantFrom(true, true, false),
  fault: fc.constantFrom("none", "none", "none", "none", "version", "base", "ledger", "round"),
  reported: clients,
  evaluated: fc.boolean(),
  end: fc.boolean(),
});

async function prepare(store: Store, id: TaskId) {
  if ((await store.getOpenRound(id)) === undefined) {
    const { last } = await store.countRounds(id);
    const latest = await store.latestModelVersion(id);
    const round = openRound(id, last + 1, { baseModelVersion: latest?.modelVersion ?? 0 });
    await store.saveOpenRound(round, CLIENTS);
  }
  const { round } = (await store.getOpenRound(id))!;
  const ledger = await store.listLedger(id);
  if ((await store.getTask(id))?.spec.privacy.mechanism === "none") return;
  if (!ledger.some(({ roundId }) => roundId === round.roundId)) {
    await store.reserveLedger(reservation(round));
  }
}

const calls: fc.Arbitrary<Call> = fc.oneof(
  fc
    .tuple(task, fc.constantFrom("plain", "private"))
    .map(([name, kind]) =>
      call(`create ${kind} task ${name}`, (store) =>
        store.createTask(taskRecord(name, kind), versionRecord(name, 0)),
      ),
    ),
  fc
    .tuple(task, fc.constantFrom("running", "paused"))
    .map(([name, state]) =>
      call(`${name} is ${state}`, (store) => store.setTaskState(taskId(name), state)),
    ),
  {
    weight: 4,
    arbitrary: fc
      .record({
        name: task,
        ahead: fc.constantFrom(1, 1, 1, 0, 2),
        cohort: fc.option(clients),
        day: fc.option(small),
      })
      .map(({ name, ahead, cohort, day }) =>
        call(
          `open ${name}'s round, last + ${ahead}, cohort ${cohort?.length ?? "none"}, day ${day ?? "none"}`,
          async (store) => {
            const { last } = await store.countRounds(taskId(name));
            const latest = await store.latestModelVersion(taskId(name));
            const round = openRound(name, last + ahead, {
              baseModelVersion: latest?.modelVersion ?? 0,
            });
            await store.saveOpenRound(round, cohort ?? undefined, day ?? undefined);
          },
        ),
      ),
  },
  {
    weight: 2,
    arbitrary: fc
      .record({ name: task, cohort: fc.option(clients), updateBytes: small })
      .map(({ name, cohort, updateBytes }) =>
        call(`save ${name}'s open round again`, async (store) => {
          const open = await store.getOpenRound(taskId(name));
          if (open === undefined) return;
          await store.saveOpenRound(
            { ...open.round, phase: "reporting", updateBytes },
            cohort ?? undefined,
          );
        }),
      ),
  },
  {
    weight: 4,
    arbitrary: ending.map(({ name, prepared, fault, reported, evaluated, end }) =>
      call(`commit ${name}'s round, fault: ${fault}`, async (store) => {
        const id = taskId(name);
        if (prepared) await prepare(store, id);
        const { last } = await store.countRounds(id);
        const known = (await store.getOpenRound(id))?.round ?? openRound(name, last);
        const ledger = await store.listLedger(id);
        const next = ((await store.latestModelVersion(id))?.modelVersion ?? 0) + 1;
        const round = {
          ...known,
          baseModelVersion: known.baseModelVersion + (fault === "base" ? 1 : 0),
          ...(fault === "round" ? { roundId: roundIdOf(id, 99) } : {}),
        };
        const paid = ledger.some(({ roundId }) => roundId === known.roundId);
        await store.commitRound(
          commitOf(round, next + (fault === "version" ? 1 : 0), {
            reported,
            releaseLedger: paid !== (fault === "ledger"),
            ...(evaluated ? { baseEvaluation: evaluation(next / 10) } : {}),
            ...(end ? { end: "targetReached" as const } : {}),
          }),
        );
      }),
    ),
  },
  {
    weight: 2,
    arbitrary: task.map((name) =>
      call(`abandon ${name}'s round`, async (store) => {
        const { last } = await store.countRounds(taskId(name));
        const round = (await store.getOpenRound(taskId(name)))?.round ?? openRound(name, last);
        await store.abandonRound({ round: abandonedRound(round) });
      }),
    ),
  },
  {
    weight: 3,
    arbitrary: fc
      .tuple(task, fc.constantFrom(0, 0, 0, 1), fc.constantFrom(1.1, 1.1, 2))
      .map(([name, ahead, noiseMultiplier]) =>
        call(
          `reserve for ${name}'s last round + ${ahead}, z = ${noiseMultiplier}`,
          async (store) => {
            const { last } = await store.countRounds(taskId(name));
            const roundId = roundIdOf(taskId(name), last + ahead);
            await store.reserveLedger(
              reservation(
                { roundId, taskId: taskId(name) },
                {
                  charge: {
                    ...reservation({ roundId, taskId: taskId(name) }).charge,
                    noiseMultiplier,
                  },
                },
              ),
            );
          },
        ),
      ),
  },
  fc
    .tuple(task, page)
    .map(([name, range]) =>
      call(`list ${name}'s rounds and versions ${JSON.stringify(range)}`, async (store) => [
        await store.listRounds(taskId(name), range),
        await store.listEndedRounds(taskId(name), { after: range.before ?? 0, limit: range.limit }),
        await store.listModelVersions(taskId(name), range),
      ]),
    ),
  fc
    .record({ name: task, rounds: fc.option(small), modelVersions: fc.option(small), limit: small })
    .map(({ name, rounds, modelVersions, limit }) =>
      call(`forget all of ${name} but ${rounds} rounds, ${modelVersions} versions`, (store) =>
        store.prune(
          taskId(name),
          { rounds: rounds ?? undefined, modelVersions: modelVersions ?? undefined },
          limit,
        ),
      ),
    ),
  fc
    .tuple(fc.constantFrom("x", "y"), small)
    .map(([name, value]) =>
      call(`secret ${name}`, (store) => store.secret(name, () => Uint8Array.of(value))),
    ),
);

/** What a call came to: its answer, or its refusal word for word. */
async function outcomeOf({ run }: Call, store: Store): Promise<unknown> {
  try {
    return { answer: await run(store) };
  } catch (error) {
    if (!isFederatedError(error)) throw error;
    return { code: error.code, message: error.message };
  }
}

/** The two logs must agree to the last byte, so both stores live at the same instant. */
const now = () => 1_760_000_009_000;

const allOf = async (store: Store) => ({
  audit: await store.audit.list({ limit: 10_000 }),
  tasks: await store.listTasks(),
  each: await Promise.all(TASKS.map((name) => everythingOf(store, taskId(name), CLIENTS))),
});

test("[ST41] memory and SQLite answer any sequence of calls alike, refusals and restarts included", async () => {
  const directory = await mkdtemp(join(tmpdir(), "tributary-agreement-"));
  let runs = 0;
  let commits = 0;
  try {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof({ weight: 25, arbitrary: calls }, fc.constant("restart" as const)), {
          maxLength: 60,
          size: "max",
        }),
        async (steps) => {
          const file = join(directory, `${runs++}.sqlite`);
          await using memory = createMemoryStore(now);
          let sqlite = await createSqliteStore({ file, now });
          try {
            for (const store of [memory, sqlite]) {
              await store.createTask(taskRecord("a"), versionRecord("a", 0));
              await store.createTask(taskRecord("b", "private"), versionRecord("b", 0));
            }
            for (const step of steps) {
              if (step === "restart") {
                await sqlite[Symbol.asyncDispose]();
                sqlite = await createSqliteStore({ file, now });
              } else {
                expect(await outcomeOf(step, sqlite), step.words).toStrictEqual(
                  await outcomeOf(step, memory),
                );
              }
              expect(await allOf(sqlite)).toStrictEqual(await allOf(memory));
            }
            for (const name of TASKS) commits += (await memory.countRounds(taskId(name))).committed;
          } finally {
            await sqlite[Symbol.asyncDispose]();
          }
        },
      ),
      { numRuns: 60 },
    );
  } finally {
    await rm(directory, { recursive: true });
  }
  // The sequences must get somewhere, or they agree on nothing.
  expect(commits).toBeGreaterThan(20);
});
