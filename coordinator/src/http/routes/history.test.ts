import { gunzipSync } from "node:zlib";

import type { RoundId, RoundResource, TaskHistory } from "@tributary/protocol";
import { routes } from "@tributary/protocol";
import { TaskHistorySchema } from "@tributary/protocol/schema";
import type { FastifyInstance } from "fastify";
import { Compile } from "typebox/compile";
import { afterEach, beforeEach, expect, test } from "vitest";

import type { FakeHeart } from "../app.fixture.ts";
import { ADMIN, CLIENT, createFakeHeart, roundResource, TASK, VIEWER } from "../app.fixture.ts";
import { createHttpApp } from "../app.ts";

let heart: FakeHeart;
let app: FastifyInstance;
beforeEach(async () => {
  heart = await createFakeHeart();
  app = await createHttpApp(heart.deps);
});
afterEach(() => app.close());

const AT_MS = Date.parse("2026-01-02T03:04:05.678Z");
const path = routes.history.path({ taskId: TASK });
const get = (query = "", headers: Record<string, string> = {}) =>
  app.inject({ url: `${path}${query}`, headers });
const history = async (query = "", headers: Record<string, string> = {}) => {
  const answer = await get(query, headers);
  expect(answer.statusCode).toBe(200);
  const body = answer.json<TaskHistory>();
  expect(Compile(TaskHistorySchema).Check(body)).toBe(true);
  return body;
};

const committed = (roundNumber: number, changes: Partial<RoundResource> = {}): RoundResource => ({
  ...roundResource,
  ...{ roundNumber, roundId: `digits.${roundNumber}` as RoundId },
  ...changes,
});
function abandoned(roundNumber: number): RoundResource {
  const { modelVersion, evaluation, trainLoss, epsilon, ...rest } = committed(roundNumber);
  expect([modelVersion, evaluation, trainLoss, epsilon]).not.toContain(undefined);
  return { ...rest, phase: "abandoned", reason: "tooFewReports", phases: rest.phases!.slice(0, 2) };
}

test("[API27] ended rounds come as columns of equal length, with null for what a round has not", async () => {
  heart.ended = [committed(3), abandoned(5)];
  expect(await history()).toStrictEqual({
    taskId: TASK,
    roundNumber: [3, 5],
    baseModelVersion: [1, 1],
    modelVersion: [2, null],
    reason: [null, "tooFewReports"],
    openedAtMs: [AT_MS, AT_MS],
    endedAtMs: [AT_MS, AT_MS],
    selectingMs: [40, 40],
    reportingMs: [2000, 2000],
    aggregatingMs: [7, null],
    selected: [3, 3],
    reported: [2, 2],
    updateBytes: [4096, 4096],
    trainLoss: [0.5, null],
    evaluatedVersion: [2, null],
    loss: [0.25, null],
    accuracy: [0.9, null],
    macroPrecision: [0.9, null],
    macroRecall: [0.8, null],
    macroF1: [0.85, null],
    epsilon: [1.25, null],
  });
});

test("[API27] a task without ended rounds has columns without rounds, and one that there is not a code", async () => {
  heart.ended = [];
  expect(await history()).toStrictEqual({
    taskId: TASK,
    roundNumber: [],
    baseModelVersion: [],
    modelVersion: [],
    openedAtMs: [],
    endedAtMs: [],
  });
  const answer = await app.inject(routes.history.path({ taskId: "other" }));
  expect(answer.json()).toMatchObject({ code: "TASK_NOT_FOUND" });
});

test.each([1, 99, 100, 101, 250, 10_000])(
  "[API27] pages of %i go on where the one before ended, and give each round once",
  async (limit) => {
    // With gaps, as where rounds were forgotten.
    const numbers = Array.from({ length: 250 }, (_, i) => 2 * i + 7);
    heart.ended = numbers.map((number) => committed(number));
    const seen: number[] = [];
    for (let after = 0; ;) {
      const page = await history(`?after=${after}&limit=${limit}`);
      seen.push(...page.roundNumber);
      expect(page.roundNumber.length).toBeLessThanOrEqual(limit);
      expect(page.next).toBe(seen.length === numbers.length ? undefined : seen.at(-1));
      if (page.next === undefined) break;
      after = page.next;
    }
    expect(seen).toEqual(numbers);
    expect((await history("?after=505")).roundNumber).toEqual([]);
  },
);

test("[API27] what is no number or too many is refused", async () => {
  for (const query of ["?limit=0", "?limit=10001", "?after=-1", "?after=x", "?before=3"]) {
    expect((await get(query)).json(), query).toMatchObject({ code: "MALFORMED_MESSAGE" });
  }
});

test("[API28] the event loop has its turns while thousands of rounds are put together", async () => {
  heart.ended = Array.from({ length: 5000 }, (_, i) => committed(i + 1));
  let turns = 0;
  let isOver = false;
  const count = () => {
    turns += 1;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  expect((await history()).roundNumber).toHaveLength(5000);
  isOver = true;
  expect(turns).toBeGreaterThan(50);
  const largest = heart.calls.map((call) => (call[2] as { limit: number }).limit);
  expect(Math.max(...largest)).toBeLessThanOrEqual(101);
});

test("[API28] one history is made at a time, whoever asks", async () => {
  heart.ended = Array.from({ length: 300 }, (_, i) => committed(i + 1));
  await Promise.all([get("?limit=300"), get("?after=200&limit=300")]);
  const asked = heart.calls.map((call) => (call[2] as { after: number }).after);
  expect(asked).toEqual([0, 100, 200, 200]);
});

test("[API28] it is gzipped for those who take it", async () => {
  heart.ended = Array.from({ length: 200 }, (_, i) => committed(i + 1));
  const plain = await get();
  expect(plain.headers).toMatchObject({ vary: "accept-encoding", "cache-control": "no-store" });
  const packed = await get("", { "accept-encoding": "gzip, br" });
  expect(packed.headers).toMatchObject({
    "content-encoding": "gzip",
    "content-type": "application/json; charset=utf-8",
  });
  expect(packed.rawPayload.length).toBeLessThan(plain.rawPayload.length / 4);
  expect(gunzipSync(packed.rawPayload).toString()).toBe(plain.body);
});

test("[EG6] under privacy a history shows of each round what the round itself shows, to whoever asks", async () => {
  heart.isPrivate = true;
  heart.ended = [committed(3), { ...abandoned(4), evaluation: roundResource.evaluation! }];
  for (const headers of [{}, { authorization: `Bearer ${VIEWER}` }]) {
    expect(await history("", headers as Record<string, string>)).toStrictEqual({
      taskId: TASK,
      roundNumber: [3, 4],
      baseModelVersion: [1, 1],
      modelVersion: [2, null],
      openedAtMs: [AT_MS, AT_MS],
      endedAtMs: [AT_MS, AT_MS],
      evaluatedVersion: [2, 2],
      loss: [0.25, 0.25],
      accuracy: [0.9, 0.9],
      macroPrecision: [0.9, 0.9],
      macroRecall: [0.8, 0.8],
      macroF1: [0.85, 0.85],
      epsilon: [1.25, null],
    });
  }
  const operator = await history("", { authorization: `Bearer ${ADMIN}` });
  expect(operator).toMatchObject({ reported: [2, 2], reason: [null, "tooFewReports"] });
  expect(JSON.stringify(operator)).not.toContain(CLIENT);
});
