/** What every store promises (`Store` in the coordinator's `ports.ts`), as tests to run on each kind. */

import type { ClientId, TaskId } from "@tributary/protocol";
import { roundIdOf } from "@tributary/protocol";
import { describe, expect, test } from "vitest";

import type {
  NoiseStep,
  OpenRoundRecord,
  RoundCommit,
  Store,
} from "../../coordinator/src/ports.ts";
import type { TaskKind } from "./records.ts";
import {
  abandonedRound,
  clientIds,
  commitOf,
  committedRound,
  digestOf,
  evaluation,
  openRound,
  reservation,
  signature,
  taskId,
  taskRecord,
  versionRecord,
} from "./records.ts";

export interface StoreUnderTest extends AsyncDisposable {
  readonly store: Store;
  /** Closes the store and opens it again on the same data; absent where nothing is kept. */
  readonly reopen?: () => Promise<Store>;
}

const A = taskId("a");

/** Everything that can be read of a task, to see that a refused call has changed none of it. */
export async function everythingOf(store: Store, id: TaskId, clients: readonly ClientId[] = []) {
  const rounds = await store.listRounds(id, { limit: 1000 });
  return {
    task: await store.getTask(id),
    versions: await store.listModelVersions(id, { limit: 1000 }),
    evaluated: await store.latestEvaluatedVersion(id),
    rounds,
    open: await store.getOpenRound(id),
    counts: await store.countRounds(id),
    ledger: await store.listLedger(id),
    places: (await Promise.all(
      clients.map((client) => store.dailyPlaces(id, client)),
    )) as readonly unknown[],
    reports: await Promise.all(
      rounds.map(({ roundId }) =>
        Promise.all(clients.map((client) => store.wasReported(roundId, client))),
      ),
    ),
  };
}

async function createTask(store: Store, name: string, kind?: TaskKind) {
  await store.createTask(taskRecord(name, kind), versionRecord(name, 0));
}

/** Opens round `roundNumber` and commits it as version `modelVersion`. */
async function commitRound(
  store: Store,
  name: string,
  roundNumber: number,
  modelVersion: number,
  extra: Partial<RoundCommit> = {},
) {
  const round = openRound(name, roundNumber, { baseModelVersion: modelVersion - 1 });
  await store.saveOpenRound(round);
  await store.commitRound(commitOf(round, modelVersion, extra));
  return round;
}

async function abandonRound(store: Store, round: OpenRoundRecord) {
  await store.saveOpenRound(round);
  await store.abandonRound({ round: abandonedRound(round) });
}

/** A private task "a" with round 1 open, its charge reserved. */
async function openPrivateRound(store: Store) {
  await createTask(store, "a", "private");
  const round = openRound("a", 1);
  await store.saveOpenRound(round, clientIds(3));
  await store.reserveLedger(reservation(round));
  return round;
}

const coded = (code: string) => expect.objectContaining({ code }) as Error;

export function storeConformance(name: string, open: () => Promise<StoreUnderTest>): void {
  describe(`store: ${name}`, () => {
    test("[ST1] records come back as they were saved, to the last digit and without new fields", async () => {
      await using under = await open();
      const { store } = under;
      const task = taskRecord("a");
      const initial = versionRecord("a", 0, { evaluation: evaluation(0.1) });
      await store.createTask(task, initial);
      expect(await store.getTask(A)).toStrictEqual(task);
      expect(await store.getModelVersion(A, 0)).toStrictEqual(initial);

      const round = openRound("a", 1, { phase: "reporting", rejections: { RATE_LIMITED: 3 } });
      await store.saveOpenRound(round, clientIds(3));
      expect(await store.getRound(round.roundId)).toStrictEqual(round);
      expect(await store.getOpenRound(A)).toStrictEqual({ round, cohort: clientIds(3) });

      const commit = commitOf(round, 1, {
        round: committedRound(round, 1, {
          trainLoss: 5e-324,
          epsilon: Number.MAX_VALUE,
          evaluation: { ...evaluation(1 / 3), modelVersion: 1 },
        }),
        version: versionRecord("a", 1, {
          optimizerState: digestOf("e"),
          evaluation: { source: "central", numExamples: 3, loss: 0.1 + 0.2 },
        }),
      });
      await store.commitRound(commit);
      expect(await store.getRound(round.roundId)).toStrictEqual(commit.round);
      expect(await store.getModelVersion(A, 1)).toStrictEqual(commit.version);

      const other = openRound("a", 2);
      await abandonRound(store, other);
      expect(await store.getRound(other.roundId)).toStrictEqual(abandonedRound(other));
    });

    test.each([Infinity, -Infinity, NaN, -0])(
      "[ST1] a model that diverged is recorded as it is: a loss of %d comes back",
      async (loss) => {
        await using under = await open();
        const initial = versionRecord("a", 0, { evaluation: { ...evaluation(0), loss } });
        await under.store.createTask(taskRecord("a"), initial);
        expect(await under.store.getModelVersion(A, 0)).toStrictEqual(initial);
      },
    );

    test("[ST2] nobody can change a record in the store by changing what went in or came out", async () => {
      await using under = await open();
      const { store } = under;
      const task = structuredClone(taskRecord("a")) as { createdAt: number };
      await store.createTask(task as ReturnType<typeof taskRecord>, versionRecord("a", 0));
      task.createdAt = -1;
      const cohort = clientIds(2);
      const round = openRound("a", 1);
      await store.saveOpenRound(round, cohort);
      cohort.length = 0;
      const before = structuredClone(await everythingOf(store, A));
      expect(before.task?.createdAt).toBe(taskRecord("a").createdAt);
      expect(before.open?.cohort).toEqual(clientIds(2));

      const seen = await everythingOf(store, A);
      for (const value of [seen.task, seen.versions[0], seen.rounds[0], seen.open?.round]) {
        Object.assign(value as object, { taskId: "b", createdAt: 0, phases: ["spoilt"] });
      }
      (seen.task!.spec as { description: string }).description = "spoilt";
      (seen.open!.cohort as ClientId[]).push("intruder" as ClientId);
      expect(await everythingOf(store, A)).toStrictEqual(before);
    });

    test("[ST3] a task is created once, with its version 0, and tasks are listed in order of creation", async () => {
      await using under = await open();
      const { store } = under;
      for (const id of ["b", "a", "c"]) await createTask(store, id);
      const before = await everythingOf(store, A);
      await expect(
        store.createTask(taskRecord("a", "private"), versionRecord("a", 0, { bytes: 1 })),
      ).rejects.toEqual(coded("TASK_EXISTS"));
      expect(await everythingOf(store, A)).toStrictEqual(before);
      await store.setTaskState(taskId("b"), "paused");
      expect((await store.listTasks()).map((task) => task.taskId)).toEqual(["b", "a", "c"]);
      for (const wrong of [versionRecord("d", 1), versionRecord("a", 0)]) {
        await expect(store.createTask(taskRecord("d"), wrong)).rejects.toEqual(
          coded("MALFORMED_MESSAGE"),
        );
      }
      expect(await store.getTask(taskId("d"))).toBeUndefined();
    });

    test("[ST4] what is not there is answered with nothing, never with an error", async () => {
      await using under = await open();
      const { store } = under;
      for (const exists of [false, true]) {
        if (exists) await createTask(store, "a");
        const id = exists ? taskId("b") : A;
        expect(await store.getTask(id)).toBeUndefined();
        expect(await store.getOpenRound(A)).toBeUndefined();
        expect(await store.getRound(roundIdOf(A, 1))).toBeUndefined();
        expect(await store.listRounds(A, { limit: 10 })).toEqual([]);
        expect(await store.countRounds(A)).toEqual({ committed: 0, abandoned: 0, last: 0 });
        expect(await store.wasReported(roundIdOf(A, 1), clientIds(1)[0]!)).toBe(false);
        expect(await store.getModelVersion(A, 1)).toBeUndefined();
        expect(await store.latestModelVersion(id)).toBeUndefined();
        expect(await store.latestEvaluatedVersion(A)).toBeUndefined();
        expect(await store.listModelVersions(id, { limit: 10 })).toEqual([]);
        expect(await store.listLedger(A)).toEqual([]);
      }
    });

    test("[ST5] a task's state changes, with its reason when it ends, and nothing else of it does", async () => {
      await using under = await open();
      const { store } = under;
      await createTask(store, "a");
      await createTask(store, "b");
      await store.setTaskState(A, "paused");
      expect(await store.getTask(A)).toStrictEqual({ ...taskRecord("a"), state: "paused" });
      await store.setTaskState(A, "running");
      expect(await store.getTask(A)).toStrictEqual(taskRecord("a"));
      await store.setTaskState(A, "ended", "cancelled");
      expect(await store.getTask(A)).toStrictEqual({
        ...taskRecord("a"),
        state: "ended",
        endReason: "cancelled",
      });
      expect(await store.getTask(taskId("b"))).toStrictEqual(taskRecord("b"));
      await expect(store.setTaskState(taskId("nobody"), "paused")).rejects.toEqual(
        coded("TASK_NOT_FOUND"),
      );
    });

    test("[ST6] a task has at most one open round, numbered as its id says, on a version that exists", async () => {
      await using under = await open();
      const { store } = under;
      await expect(store.saveOpenRound(openRound("a", 1))).rejects.toEqual(coded("TASK_NOT_FOUND"));
      await createTask(store, "a");
      await createTask(store, "b");
      const round = openRound("a", 1);
      await store.saveOpenRound(round);
      await store.saveOpenRound(openRound("b", 1));
      const wrong = [
        openRound("a", 2),
        { ...round, baseModelVersion: 1 },
        { ...openRound("a", 2), roundId: round.roundId },
        { ...round, taskId: taskId("b") },
      ];
      for (const other of wrong) {
        await expect(store.saveOpenRound(other)).rejects.toEqual(coded("MALFORMED_MESSAGE"));
      }
      expect(await store.getOpenRound(A)).toStrictEqual({ round, cohort: [] });
      await store.abandonRound({ round: abandonedRound(round) });
      for (const baseModelVersion of [1, -1]) {
        await expect(store.saveOpenRound(openRound("a", 2, { baseModelVersion }))).rejects.toEqual(
          coded("MALFORMED_MESSAGE"),
        );
      }
      await store.saveOpenRound(openRound("a", 2));
      expect((await store.getOpenRound(A))?.round.roundNumber).toBe(2);
    });

    test("[ST7] a cohort given once stays, in its order, until the round ends", async () => {
      await using under = await open();
      const { store } = under;
      await createTask(store, "a");
      const round = openRound("a", 1);
      await store.saveOpenRound(round);
      const cohort = [...clientIds(50, "z"), ...clientIds(50, "a")].reverse();
      await store.saveOpenRound({ ...round, phase: "reporting" }, cohort);
      const later: OpenRoundRecord = { ...round, phase: "aggregating", updateBytes: 7 };
      await store.saveOpenRound(later);
      expect(await store.getOpenRound(A)).toStrictEqual({ round: later, cohort });
      await store.commitRound(commitOf(round, 1));
      await store.saveOpenRound(openRound("a", 2, { baseModelVersion: 1 }));
      expect((await store.getOpenRound(A))?.cohort).toEqual([]);
    });

    test("[LIM12] the places of a cohort count once each, with it or not at all", async () => {
      await using under = await open();
      const { store } = under;
      await createTask(store, "a");
      const [first, second, third] = clientIds(3);
      const placesOf = (id: ClientId | undefined) => store.dailyPlaces(A, id as ClientId);
      const round = openRound("a", 1);
      await store.saveOpenRound(round);
      expect(await placesOf(first)).toBeUndefined();
      await store.saveOpenRound(round, [first!, second!], 7);
      await store.saveOpenRound({ ...round, phase: "reporting" }, [first!, second!], 7);
      expect(await placesOf(first)).toEqual({ day: 7, places: 1 });
      expect(await placesOf(third)).toBeUndefined();
      // A round that is refused takes no places, and one that nobody counts takes none either.
      const wrong = openRound("a", 2);
      await expect(store.saveOpenRound(wrong, [third!], 7)).rejects.toEqual(
        coded("MALFORMED_MESSAGE"),
      );
      expect(await placesOf(third)).toBeUndefined();
      await store.abandonRound({ round: abandonedRound(round) });
      await abandonRound(store, openRound("a", 2));
      const next = openRound("a", 3);
      await store.saveOpenRound(next, [first!], 7);
      expect(await placesOf(first)).toEqual({ day: 7, places: 2 });
      await store.abandonRound({ round: abandonedRound(next) });
      // Another day, and a clock that was set back.
      await store.saveOpenRound(openRound("a", 4), [first!], 9);
      await store.abandonRound({ round: abandonedRound(openRound("a", 4)) });
      await store.saveOpenRound(openRound("a", 5), [first!, second!], 8);
      expect(await placesOf(first)).toEqual({ day: 9, places: 2 });
      expect(await placesOf(second)).toEqual({ day: 8, places: 1 });
      await createTask(store, "b");
      expect(await store.dailyPlaces(taskId("b"), first!)).toBeUndefined();
    });

    test("[MM14] a step of a matrix run is taken with its charge, its participants and its state, or not at all", async () => {
      await using under = await open();
      let { store } = under;
      await createTask(store, "a", "matrix");
      const [first, second, third] = clientIds(3) as [ClientId, ClientId, ClientId];
      const charge = { mechanism: "matrix", noiseMultiplier: 1.1 } as const;
      const stepOf = (round: number, step: number, participants: readonly ClientId[]) => ({
        event: { ...reservation(openRound("a", round)), charge },
        ...{ step, participants },
        state: Uint8Array.of(round, step),
      });
      const stateNow = async () => ({
        ...(await everythingOf(store, A)),
        state: await store.noiseState(A),
        participations: await Promise.all(
          [first, second, third].map((client) => store.participation(A, client)),
        ),
      });
      const refuses = async (step: NoiseStep, what: string) => {
        const before = await stateNow();
        await expect(store.takeNoiseStep(step), what).rejects.toEqual(coded("MALFORMED_MESSAGE"));
        expect(await stateNow(), what).toStrictEqual(before);
      };
      expect(await store.noiseState(A)).toBeUndefined();
      await store.saveOpenRound(openRound("a", 1));
      const one = stepOf(1, 0, [first, second]);
      await refuses({ ...one, step: 1 }, "a step ahead");
      await refuses({ ...one, participants: [first, first] }, "a client twice");
      const gaussian = reservation(openRound("a", 1));
      await refuses({ ...one, event: gaussian }, "another mechanism's charge");
      const cheap = { ...charge, noiseMultiplier: 9 };
      await refuses({ ...one, event: { ...one.event, charge: cheap } }, "a cheaper charge");
      await expect(store.reserveLedger(one.event)).rejects.toEqual(coded("MALFORMED_MESSAGE"));
      await store.takeNoiseStep(one);
      expect(await stateNow()).toMatchObject({
        state: Uint8Array.of(1, 0),
        ledger: [{ ...one.event, status: "reserved" }],
        participations: [{ lastStep: 0, count: 1 }, { lastStep: 0, count: 1 }, undefined],
      });
      await refuses(stepOf(1, 1, [third]), "two steps in one round");
      // Whatever is asked for: a step that was taken counts.
      await store.abandonRound({ round: abandonedRound(openRound("a", 1)) });
      expect(await store.listLedger(A)).toMatchObject([{ status: "released" }]);
      await expect(store.takeNoiseStep(stepOf(1, 1, [third]))).rejects.toEqual(
        coded("ROUND_CLOSED"),
      );
      await store.saveOpenRound(openRound("a", 2));
      await refuses(stepOf(2, 1, [third, first]), "a client too early");
      await store.takeNoiseStep(stepOf(2, 1, [third]));
      await store.abandonRound({ round: abandonedRound(openRound("a", 2)) });
      if (under.reopen !== undefined) store = await under.reopen();
      expect(await store.noiseState(A)).toEqual(Uint8Array.of(2, 1));
      await store.saveOpenRound(openRound("a", 3));
      await store.takeNoiseStep(stepOf(3, 2, [first]));
      await store.abandonRound({ round: abandonedRound(openRound("a", 3)) });
      expect(await store.participation(A, first)).toEqual({ lastStep: 2, count: 2 });
      await store.saveOpenRound(openRound("a", 4));
      await refuses(stepOf(4, 3, [second]), "a step beyond the run");
      await createTask(store, "b", "private");
      await store.saveOpenRound(openRound("b", 1));
      const foreign = {
        ...stepOf(1, 0, [first]),
        event: { ...reservation(openRound("b", 1)), charge },
      };
      await refuses(foreign, "a task of another mechanism");
      expect(await store.participation(taskId("b"), first)).toBeUndefined();
    });

    test("[MM8] a noise state is forgotten with the end of its task, another task's is not", async () => {
      await using under = await open();
      const { store } = under;
      const charge = { mechanism: "matrix", noiseMultiplier: 1.1 } as const;
      for (const name of ["a", "b"]) {
        await createTask(store, name, "matrix");
        const round = openRound(name, 1);
        await store.saveOpenRound(round);
        const event = { ...reservation(round), charge };
        const state = Uint8Array.of(1, 2);
        await store.takeNoiseStep({ event, step: 0, participants: clientIds(2), state });
        await store.abandonRound({ round: abandonedRound(round) });
      }
      await store.setTaskState(A, "paused");
      expect(await store.noiseState(A)).toEqual(Uint8Array.of(1, 2));
      await store.setTaskState(A, "ended", "cancelled");
      expect(await store.noiseState(A)).toBeUndefined();
      expect(await store.noiseState(taskId("b"))).toEqual(Uint8Array.of(1, 2));
    });

    test("[ST8] a round ends once: nothing changes it afterwards, and an unknown one cannot end", async () => {
      await using under = await open();
      const { store } = under;
      await createTask(store, "a");
      const stranger = openRound("a", 9);
      await expect(store.commitRound(commitOf(stranger, 1))).rejects.toEqual(
        coded("ROUND_NOT_FOUND"),
      );
      await expect(store.abandonRound({ round: abandonedRound(stranger) })).rejects.toEqual(
        coded("ROUND_NOT_FOUND"),
      );
      const committed = await commitRound(store, "a", 1, 1);
      const abandoned = openRound("a", 2, { baseModelVersion: 1 });
      await abandonRound(store, abandoned);
      const before = await everythingOf(store, A, clientIds(9));
      for (const round of [committed, abandoned]) {
        for (const attempt of [
          store.saveOpenRound(round, clientIds(9)),
          store.commitRound(commitOf(round, 2, { reported: clientIds(9) })),
          store.abandonRound({ round: abandonedRound(round) }),
        ]) {
          await expect(attempt).rejects.toEqual(coded("ROUND_CLOSED"));
        }
      }
      expect(await everythingOf(store, A, clientIds(9))).toStrictEqual(before);
      expect(await store.getOpenRound(A)).toBeUndefined();
    });

    test("[ST9] a commit brings version, round, reports, ledger, evaluation and end of task together", async () => {
      await using under = await open();
      const { store } = under;
      const round = await openPrivateRound(store);
      const commit = commitOf(round, 1, {
        releaseLedger: true,
        baseEvaluation: evaluation(0.5, "federated"),
        end: "targetReached",
      });
      await store.commitRound(commit);
      expect(await everythingOf(store, A, clientIds(3))).toStrictEqual({
        task: { ...taskRecord("a", "private"), state: "ended", endReason: "targetReached" },
        versions: [
          commit.version,
          { ...versionRecord("a", 0), evaluation: evaluation(0.5, "federated") },
        ],
        evaluated: { ...versionRecord("a", 0), evaluation: evaluation(0.5, "federated") },
        rounds: [commit.round],
        open: undefined,
        counts: { committed: 1, abandoned: 0, last: 1 },
        ledger: [reservation(round, { status: "released" })],
        places: [undefined, undefined, undefined],
        reports: [[true, true, false]],
      });
    });

    test("[ST10] a commit that is refused changes nothing at all", async () => {
      await using under = await open();
      const { store } = under;
      const round = await openPrivateRound(store);
      const good = commitOf(round, 1, {
        releaseLedger: true,
        baseEvaluation: evaluation(0.5),
        end: "maxRoundsReached",
      });
      const wrong: RoundCommit[] = [
        // Not the next version.
        commitOf(round, 0, {
          ...good,
          version: versionRecord("a", 0, { roundNumber: 1 }),
          round: { ...good.round, modelVersion: 0 },
        }),
        commitOf(round, 2, {
          ...good,
          version: versionRecord("a", 2, { roundNumber: 1 }),
          round: { ...good.round, modelVersion: 2 },
        }),
        // Round and version disagree.
        { ...good, round: { ...good.round, modelVersion: 2 } },
        { ...good, version: { ...good.version, taskId: taskId("b") } },
        { ...good, version: { ...good.version, roundNumber: 2 } },
        // Not the round that is open.
        { ...good, round: { ...good.round, baseModelVersion: 1 } },
        { ...good, round: { ...good.round, roundNumber: 2 } },
        // Noise was drawn, but the charge would not be counted.
        { ...good, releaseLedger: false },
      ];
      const before = await everythingOf(store, A, clientIds(3));
      for (const commit of wrong) {
        await expect(store.commitRound(commit)).rejects.toEqual(coded("MALFORMED_MESSAGE"));
        expect(await everythingOf(store, A, clientIds(3))).toStrictEqual(before);
      }
      await store.commitRound(good);
      expect((await store.latestModelVersion(A))?.modelVersion).toBe(1);
    });

    test("[ST11] nothing of a private task is committed without its charge reserved before", async () => {
      await using under = await open();
      const { store } = under;
      await createTask(store, "a", "private");
      await createTask(store, "b");
      for (const id of ["a", "b"]) {
        const round = openRound(id, 1);
        await store.saveOpenRound(round);
        const before = await everythingOf(store, round.taskId);
        const release = store.commitRound(commitOf(round, 1, { releaseLedger: true }));
        await expect(release).rejects.toEqual(coded("MALFORMED_MESSAGE"));
        expect(await everythingOf(store, round.taskId)).toStrictEqual(before);
      }
      // What a round has reserved it must release, whatever the task says of itself.
      await store.reserveLedger(reservation(openRound("b", 1)));
      for (const id of ["a", "b"]) {
        await expect(store.commitRound(commitOf(openRound(id, 1), 1))).rejects.toEqual(
          coded("MALFORMED_MESSAGE"),
        );
      }
      expect((await store.latestModelVersion(A))?.modelVersion).toBe(0);
    });

    test("[AC6] the norm that the next round clips to is committed with its version, or nothing is", async () => {
      await using under = await open();
      const { store } = under;
      await createTask(store, "a", "adaptive");
      await createTask(store, "b", "private");
      const norm = 0.1 + 0.2;
      for (const id of ["a", "b"]) {
        const round = openRound(id, 1, id === "a" ? { clippingNorm: 0.5 } : {});
        await store.saveOpenRound(round);
        await store.reserveLedger(reservation(round));
        const carrying = versionRecord(id, 1, { clippingNorm: norm });
        const [good, bad] = [
          commitOf(round, 1, { releaseLedger: true }),
          commitOf(round, 1, { releaseLedger: true, version: carrying }),
        ].sort(() => (id === "a" ? -1 : 1));
        const before = await everythingOf(store, round.taskId);
        await expect(store.commitRound(bad!)).rejects.toEqual(coded("MALFORMED_MESSAGE"));
        expect(await everythingOf(store, round.taskId)).toStrictEqual(before);
        await store.commitRound(good!);
      }
      expect(await store.latestModelVersion(A)).toMatchObject({ clippingNorm: norm });
      expect(await store.getRound(openRound("a", 1).roundId)).toMatchObject({ clippingNorm: 0.5 });
      const next = openRound("a", 2, { baseModelVersion: 1, clippingNorm: norm });
      await store.saveOpenRound(next, clientIds(2));
      if (under.reopen === undefined) return;
      const again = await under.reopen();
      expect(await again.latestModelVersion(A)).toMatchObject({ clippingNorm: norm });
      expect(await again.getOpenRound(A)).toMatchObject({ round: { clippingNorm: norm } });
    });

    test("[ST12] abandoning a round voids what it had reserved, and that only", async () => {
      await using under = await open();
      const { store } = under;
      const first = await openPrivateRound(store);
      await store.commitRound(commitOf(first, 1, { releaseLedger: true }));
      const second = openRound("a", 2, { baseModelVersion: 1 });
      await store.saveOpenRound(second);
      await store.reserveLedger(reservation(second));
      await expect(
        store.abandonRound({ round: { ...abandonedRound(second), roundNumber: 1 } }),
      ).rejects.toEqual(coded("MALFORMED_MESSAGE"));
      await store.abandonRound({ round: abandonedRound(second) });
      await abandonRound(store, openRound("a", 3, { baseModelVersion: 1 }));
      expect(await store.listLedger(A)).toStrictEqual([
        reservation(first, { status: "released" }),
        reservation(second, { status: "void" }),
      ]);
    });

    test("[ST43] abandoning a round can keep its charge: it counts as released", async () => {
      await using under = await open();
      const { store } = under;
      const round = await openPrivateRound(store);
      await store.abandonRound({ round: abandonedRound(round), keepCharge: true });
      expect(await store.listLedger(A)).toStrictEqual([reservation(round, { status: "released" })]);
    });

    test("[ST13] a charge that is released or void never changes again, nor is it reserved again", async () => {
      await using under = await open();
      const { store } = under;
      const first = await openPrivateRound(store);
      await store.commitRound(commitOf(first, 1, { releaseLedger: true }));
      const second = openRound("a", 2, { baseModelVersion: 1 });
      await store.saveOpenRound(second);
      await store.reserveLedger(reservation(second));
      await store.abandonRound({ round: abandonedRound(second) });
      const before = await store.listLedger(A);
      for (const round of [first, second]) {
        for (const attempt of [
          store.reserveLedger(reservation(round)),
          store.commitRound(commitOf(round, 2, { releaseLedger: true })),
          store.abandonRound({ round: abandonedRound(round) }),
        ]) {
          await expect(attempt).rejects.toEqual(coded("ROUND_CLOSED"));
        }
      }
      expect(await store.listLedger(A)).toStrictEqual(before);
    });

    test("[ST14] a charge is reserved for an open round, once: again is allowed, another charge is not", async () => {
      await using under = await open();
      const { store } = under;
      await createTask(store, "b", "private");
      const round = await openPrivateRound(store);
      await store.reserveLedger(reservation(round, { reservedAt: 1 }));
      expect(await store.listLedger(A)).toStrictEqual([reservation(round)]);
      const { charge } = reservation(round);
      for (const wrong of [
        reservation(round, { charge: { ...charge, noiseMultiplier: 9 } }),
        reservation(round, {
          charge: { mechanism: "matrix", noiseMultiplier: charge.noiseMultiplier },
        }),
        reservation(round, { status: "released" }),
        reservation(round, { taskId: taskId("b") }),
      ]) {
        await expect(store.reserveLedger(wrong)).rejects.toEqual(coded("MALFORMED_MESSAGE"));
      }
      const unknown = reservation({ roundId: roundIdOf(A, 7), taskId: A });
      await expect(store.reserveLedger(unknown)).rejects.toEqual(coded("ROUND_NOT_FOUND"));
      expect(await store.listLedger(A)).toStrictEqual([reservation(round)]);
      expect(await store.listLedger(taskId("b"))).toEqual([]);
    });

    test("[ST15] the ledger is listed in order of reservation, of one task, whatever became of the rounds", async () => {
      await using under = await open();
      const { store } = under;
      for (const id of ["a", "b"]) await createTask(store, id, "private");
      // Numbers that text would sort otherwise.
      for (const roundNumber of [9, 10, 11]) {
        for (const id of ["b", "a"]) {
          const round = openRound(id, roundNumber);
          await store.saveOpenRound(round);
          await store.reserveLedger(reservation(round, { reservedAt: 100 - roundNumber }));
          await store.abandonRound({ round: abandonedRound(round) });
        }
      }
      const last = openRound("a", 12);
      await store.saveOpenRound(last);
      await store.reserveLedger(reservation(last, { reservedAt: 0 }));
      expect((await store.listLedger(A)).map(({ roundId, status }) => [roundId, status])).toEqual([
        ["a.9", "void"],
        ["a.10", "void"],
        ["a.11", "void"],
        ["a.12", "reserved"],
      ]);
    });

    test("[ST16] rounds and versions are listed newest first, page by page, each exactly once", async () => {
      await using under = await open();
      const { store } = under;
      for (const id of ["a", "b"]) {
        await createTask(store, id);
        for (let i = 1; i <= 12; i++) await commitRound(store, id, i, i);
      }
      await store.saveOpenRound(openRound("a", 13, { baseModelVersion: 12 }));
      const rounds: number[] = [];
      const versions: number[] = [];
      for (let before: number | undefined; ;) {
        const page = { limit: 5, ...(before === undefined ? {} : { before }) };
        const items = await store.listRounds(A, page);
        rounds.push(...items.map(({ roundNumber }) => roundNumber));
        versions.push(
          ...(await store.listModelVersions(A, page)).map(({ modelVersion }) => modelVersion),
        );
        before = items.at(-1)?.roundNumber;
        if (items.length < 5) break;
      }
      expect(rounds).toEqual([13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
      expect(versions.filter((version, i) => versions.indexOf(version) === i)).toEqual([
        12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0,
      ]);
      expect(await store.listRounds(A, { before: 1, limit: 5 })).toEqual([]);
      expect(await store.listModelVersions(A, { before: 1, limit: 5 })).toStrictEqual([
        versionRecord("a", 0),
      ]);
      expect((await store.latestModelVersion(A))?.modelVersion).toBe(12);
    });

    test("[ST46] ended rounds are listed oldest first, each exactly once, and never the open one", async () => {
      await using under = await open();
      const { store } = under;
      for (const id of ["a", "b"]) {
        await createTask(store, id);
        for (let i = 1; i <= 6; i++) await commitRound(store, id, i, i);
      }
      await abandonRound(store, openRound("a", 7, { baseModelVersion: 6 }));
      await store.saveOpenRound(openRound("a", 8, { baseModelVersion: 6 }));
      const numbers = async (after: number, limit: number) =>
        (await store.listEndedRounds(A, { after, limit })).map(({ roundNumber }) => roundNumber);
      expect(await numbers(0, 3)).toEqual([1, 2, 3]);
      expect(await numbers(3, 3)).toEqual([4, 5, 6]);
      expect(await numbers(6, 3)).toEqual([7]);
      expect(await numbers(7, 3)).toEqual([]);
      expect(await numbers(0, 100)).toEqual([1, 2, 3, 4, 5, 6, 7]);
      const [second] = await store.listEndedRounds(A, { after: 1, limit: 1 });
      expect(second).toStrictEqual(await store.getRound(second!.roundId));
      await store.prune(A, { rounds: 3 }, 100);
      expect(await numbers(0, 100)).toEqual([6, 7]);
    });

    test("[ST17] rounds are counted by how they ended; the last number counts an open one too", async () => {
      await using under = await open();
      const { store } = under;
      await createTask(store, "a");
      await createTask(store, "b");
      await commitRound(store, "b", 1, 1);
      await commitRound(store, "a", 1, 1);
      await abandonRound(store, openRound("a", 2));
      await abandonRound(store, openRound("a", 3));
      expect(await store.countRounds(A)).toStrictEqual({ committed: 1, abandoned: 2, last: 3 });
      await store.saveOpenRound(openRound("a", 4));
      expect(await store.countRounds(A)).toStrictEqual({ committed: 1, abandoned: 2, last: 4 });
    });

    test("[ST18] who is in a committed round is remembered for that round only", async () => {
      await using under = await open();
      const { store } = under;
      await createTask(store, "a");
      const [first, second, third] = clientIds(3) as [ClientId, ClientId, ClientId];
      const one = await commitRound(store, "a", 1, 1, { reported: [first, second, first] });
      const two = await commitRound(store, "a", 2, 2, { reported: [second] });
      const three = await commitRound(store, "a", 3, 3, { reported: [] });
      const answers = [one, two, three].map(({ roundId }) =>
        Promise.all([first, second, third].map((client) => store.wasReported(roundId, client))),
      );
      expect(await Promise.all(answers)).toEqual([
        [true, true, false],
        [false, true, false],
        [false, false, false],
      ]);
    });

    test("[ST19] an evaluation by clients lands on the version they evaluated", async () => {
      await using under = await open();
      const { store } = under;
      await createTask(store, "a");
      expect(await store.latestEvaluatedVersion(A)).toBeUndefined();
      await commitRound(store, "a", 1, 1, { baseEvaluation: evaluation(0.1) });
      await commitRound(store, "a", 2, 2, { baseEvaluation: evaluation(0.2) });
      await commitRound(store, "a", 3, 3);
      const versions = await store.listModelVersions(A, { limit: 9 });
      expect(versions.map((version) => version.evaluation?.accuracy)).toEqual([
        undefined,
        undefined,
        0.2,
        0.1,
      ]);
      expect((await store.latestEvaluatedVersion(A))?.modelVersion).toBe(1);
      const round = openRound("a", 4, { baseModelVersion: 3 });
      await store.saveOpenRound(round);
      const central = versionRecord("a", 4, { evaluation: evaluation(0.4) });
      await store.commitRound(commitOf(round, 4, { version: central }));
      expect(await store.latestEvaluatedVersion(A)).toStrictEqual(central);
    });

    test("[ST20] a secret is made once and is the same for everybody who asks", async () => {
      await using under = await open();
      const { store } = under;
      let made = 0;
      const create = () => Uint8Array.from({ length: 32 }, (_, i) => i + ++made * 100);
      const asked = await Promise.all([1, 2, 3].map(() => store.secret("key", create)));
      asked[0]!.fill(0);
      expect(await store.secret("key", create)).toEqual(asked[1]);
      expect(asked[2]).toEqual(asked[1]);
      expect(await store.secret("other", create)).not.toEqual(asked[1]);
      expect(made).toBe(2 * 32);
      await expect(
        store.secret("failing", () => {
          throw new Error("no entropy");
        }),
      ).rejects.toThrow("no entropy");
      expect(await store.secret("failing", () => Uint8Array.of(7))).toEqual(Uint8Array.of(7));
    });

    test("[SIG13] a key and what it signed anew are saved together, and the former secret is gone", async () => {
      await using under = await open();
      const { store } = under;
      await createTask(store, "a");
      await createTask(store, "b");
      const first = {
        publicKey: signature("A", 0).publicKey,
        createdAt: "2026-01-01T00:00:00.000Z",
      };
      const second = {
        publicKey: signature("B", 0).publicKey,
        createdAt: "2026-01-02T00:00:00.000Z",
        previous: { publicKey: first.publicKey, signature: "s" },
      };
      expect(await store.listSigningKeys()).toEqual([]);
      await expect(store.addSigningKey(second, [])).rejects.toEqual(coded("MALFORMED_MESSAGE"));
      await store.addSigningKey(first, []);
      const seed = await store.secret("seed", () => Uint8Array.of(1));
      const anew = { taskId: A, modelVersion: 0, signed: signature("B", 0) };
      const refused = store.addSigningKey({ ...second, previous: undefined! }, [anew], "seed");
      await expect(refused).rejects.toEqual(coded("MALFORMED_MESSAGE"));
      expect((await store.latestModelVersion(A))?.signed).toEqual(signature("A", 0));
      expect(await store.secret("seed", () => Uint8Array.of(2))).toEqual(seed);

      await store.addSigningKey(second, [anew], "seed");
      const kept = under.reopen === undefined ? store : await under.reopen();
      expect(await kept.listSigningKeys()).toStrictEqual([first, second]);
      expect(await kept.latestModelVersion(A)).toStrictEqual(
        versionRecord("a", 0, { signed: signature("B", 0) }),
      );
      expect(await kept.latestModelVersion(taskId("b"))).toStrictEqual(versionRecord("b", 0));
      expect(await kept.secret("seed", () => Uint8Array.of(2))).toEqual(Uint8Array.of(2));
      expect(await kept.listUnsignedVersions(10)).toEqual([]);
      const entries = await kept.audit.list({ limit: 100 });
      const told = entries.map(
        ({ record }) => JSON.parse(record) as { kind: string; facts: object },
      );
      expect(told.filter(({ kind }) => kind === "key:added").map(({ facts }) => facts)).toEqual([
        { publicKey: first.publicKey },
        { publicKey: second.publicKey, previous: first.publicKey },
      ]);
    });

    test("[ST21] a store says that it can be written, and once closed refuses every call, coded", async () => {
      await using under = await open();
      const { store } = under;
      await createTask(store, "a");
      await store.check();
      await store.check();
      await store[Symbol.asyncDispose]();
      await store[Symbol.asyncDispose]();
      for (const attempt of [
        store.check(),
        store.getTask(A),
        store.listTasks(),
        store.setTaskState(A, "paused"),
        store.secret("key", () => new Uint8Array(32)),
      ]) {
        await expect(attempt).rejects.toEqual(coded("UNAVAILABLE"));
      }
    });

    test("[ST22] everything survives closing and opening, open round and its cohort included", async ({
      skip,
    }) => {
      await using under = await open();
      if (under.reopen === undefined) return skip("nothing is kept");
      const { store } = under;
      const first = await openPrivateRound(store);
      await store.commitRound(
        commitOf(first, 1, { releaseLedger: true, baseEvaluation: evaluation(0.5) }),
      );
      const second = openRound("a", 2, { baseModelVersion: 1 });
      await store.saveOpenRound(second, clientIds(5), 3);
      await store.reserveLedger(reservation(second));
      const secret = await store.secret("key", () => crypto.getRandomValues(new Uint8Array(32)));
      const before = await everythingOf(store, A, clientIds(5));

      const again = await under.reopen();
      expect(await everythingOf(again, A, clientIds(5))).toStrictEqual(before);
      expect(await again.listTasks()).toStrictEqual([taskRecord("a", "private")]);
      expect(await again.secret("key", () => new Uint8Array(32))).toEqual(secret);
      await again.commitRound(commitOf(second, 2, { releaseLedger: true }));
      expect((await again.latestModelVersion(A))?.modelVersion).toBe(2);
    });
  });
}
