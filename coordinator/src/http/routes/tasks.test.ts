import { routes } from "@tributary/protocol";
import {
  ModelPageSchema,
  ModelResourceSchema,
  PrivacyResourceSchema,
  RoundPageSchema,
  RoundResourceSchema,
  TaskResourceSchema,
} from "@tributary/protocol/schema";
import type { FastifyInstance } from "fastify";
import { Compile } from "typebox/compile";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import type { FakeHeart } from "../app.fixture.ts";
import { ADMIN, createFakeHeart, ROUND, TASK } from "../app.fixture.ts";
import { createHttpApp } from "../app.ts";

let app: FastifyInstance;
let heart: FakeHeart;
beforeEach(async () => {
  heart = await createFakeHeart();
  app = await createHttpApp(heart.deps);
});
afterEach(() => app.close());

const headers = { authorization: `Bearer ${ADMIN}` };
const tensors = [{ name: "w", shape: [2] }];

describe("reading", () => {
  it("[API12] every resource comes whole, as its schema says", async () => {
    const expected = [
      [routes.task.path({ taskId: TASK }), TaskResourceSchema],
      [routes.round.path({ roundId: ROUND }), RoundResourceSchema],
      [routes.rounds.path({ taskId: TASK }), RoundPageSchema],
      [routes.models.path({ taskId: TASK }), ModelPageSchema],
      [routes.model.path({ taskId: TASK, modelVersion: "latest" }), ModelResourceSchema],
      [routes.model.path({ taskId: TASK, modelVersion: 2 }), ModelResourceSchema],
      [routes.privacy.path({ taskId: TASK }), PrivacyResourceSchema],
    ] as const;
    for (const [url, schema] of expected) {
      const answer = await app.inject(url);
      expect(answer.statusCode, url).toBe(200);
      expect(answer.headers["content-type"], url).toBe("application/json; charset=utf-8");
      expect([...Compile(schema).Errors(answer.json())], url).toEqual([]);
    }
    const round = (await app.inject(routes.round.path({ roundId: ROUND }))).json<object>();
    expect(round).toMatchObject({
      phases: [{ phase: "selecting", durationMs: 40 }, {}, {}],
      participants: { selected: 3, reported: 2, disconnected: 1 },
      rejections: { UPDATE_NOT_FINITE: 1 },
      evaluation: { perClass: [{ support: 100 }], modelVersion: 2 },
      epsilon: 1.25,
    });
    const list = (await app.inject(routes.tasks.path())).json<{ items: unknown[] }>();
    expect(list.items).toHaveLength(1);
    expect(list.items[0]).toMatchObject({ spec: { sampler: { kind: "uniform", cohortSize: 3 } } });
  });

  it("[API13] pages go by `before` and `limit`, 50 items where none is given", async () => {
    await app.inject(routes.rounds.path({ taskId: TASK }));
    await app.inject(`${routes.rounds.path({ taskId: TASK })}?before=7&limit=200`);
    await app.inject(`${routes.models.path({ taskId: TASK })}?limit=1`);
    expect(heart.calls).toEqual([
      ["rounds", TASK, { limit: 50 }],
      ["rounds", TASK, { limit: 200, before: 7 }],
      ["models", TASK, { limit: 1 }],
    ]);
    const page = await app.inject(routes.rounds.path({ taskId: TASK }));
    expect(page.json()).toMatchObject({ items: [{ roundNumber: 3 }], next: 3 });
  });

  it("[API12] what does not exist has its own code", async () => {
    const missing = [
      [routes.task.path({ taskId: "none" }), "TASK_NOT_FOUND"],
      [routes.rounds.path({ taskId: "none" }), "TASK_NOT_FOUND"],
      [routes.privacy.path({ taskId: "none" }), "TASK_NOT_FOUND"],
      [routes.round.path({ roundId: "digits.99" }), "ROUND_NOT_FOUND"],
      [routes.model.path({ taskId: TASK, modelVersion: 9 }), "MODEL_NOT_FOUND"],
    ] as const;
    for (const [url, code] of missing) {
      const answer = await app.inject(url);
      expect(answer.statusCode).toBe(404);
      expect(answer.json()).toMatchObject({ code });
    }
  });
});

describe("steering", () => {
  const create = (payload: object) =>
    app.inject({ method: "POST", url: routes.tasks.path(), headers, payload });

  it("[API14] a new task is answered with its place", async () => {
    const spec = { taskId: "new", model: { tensors } };
    const answer = await create({ spec });
    expect(answer.statusCode).toBe(201);
    expect(answer.headers.location).toBe(routes.task.path({ taskId: TASK }));
    expect(answer.json()).toMatchObject({ taskId: TASK, state: "running" });
    expect(heart.calls).toEqual([["create", spec, undefined]]);
  });

  it("[API14] initial weights come as base64 of little-endian float32, beyond the limit of bodies", async () => {
    const weights = new Float32Array(5000).map((_, i) => Math.fround(i / 3));
    const initialWeights = Buffer.from(weights.buffer).toString("base64");
    expect(initialWeights.length).toBeGreaterThan(heart.deps.limits.maxBodyBytes);
    const answer = await create({ spec: { taskId: "new", model: { tensors } }, initialWeights });
    expect(answer.statusCode).toBe(201);
    expect(heart.calls[0]?.[2]).toEqual(weights);
  });

  it.each(["AAA", "AAAAA===", "AAAA", "!!!!", "AAAA AAAA"])(
    "[API14] weights that are no float32 in base64 are refused: %s",
    async (initialWeights) => {
      const answer = await create({ spec: { taskId: "new", model: { tensors } }, initialWeights });
      expect(answer.json()).toMatchObject({ code: "MALFORMED_MESSAGE" });
      expect(heart.calls).toEqual([]);
    },
  );

  it("[API14] pause, resume and cancel answer with the task", async () => {
    for (const [name, route] of [
      ["pause", routes.pauseTask],
      ["resume", routes.resumeTask],
      ["cancel", routes.cancelTask],
    ] as const) {
      const answer = await app.inject({
        method: "POST",
        url: route.path({ taskId: TASK }),
        headers,
      });
      expect(answer.statusCode).toBe(200);
      expect(answer.json()).toMatchObject({ taskId: TASK });
      expect(heart.calls.at(-1)).toEqual([name, TASK]);
    }
  });
});
