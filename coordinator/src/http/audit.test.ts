import { CLIENT_KEY_HEADER, FederatedError, routes } from "@tributary/protocol";
import { AuditPageSchema } from "@tributary/protocol/schema";
import type { FastifyInstance } from "fastify";
import { Compile } from "typebox/compile";
import { afterEach, beforeEach, expect, it } from "vitest";

import type { FakeHeart } from "./app.fixture.ts";
import {
  ADMIN,
  ASSIGNMENT,
  CLIENT,
  CLIENT_KEY,
  createFakeHeart,
  READER,
  ROUND,
  TASK,
  VIEWER,
} from "./app.fixture.ts";
import { createHttpApp } from "./app.ts";

let app: FastifyInstance;
let heart: FakeHeart;
beforeEach(async () => {
  heart = await createFakeHeart({ protected: true });
  app = await createHttpApp(heart.deps);
});
afterEach(() => app.close());

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const pause = (headers: Record<string, string>, taskId: string = TASK) =>
  app.inject({ method: "POST", url: routes.pauseTask.path({ taskId }), headers });

it("[AL11] a change asked for by API is in the log before it is done, and its outcome before it is told", async () => {
  const order: string[] = [];
  heart.onAudit = async ({ kind }) => {
    order.push(`${kind} after ${heart.calls.length} calls`);
  };
  const answer = await pause(bearer(ADMIN));
  expect(answer.statusCode).toBe(200);
  expect(order).toEqual(["admin:requested after 0 calls", "admin:answered after 1 calls"]);
  expect(heart.audited).toEqual([
    {
      kind: "admin:requested",
      actor: "operator",
      facts: { action: "POST /v1/tasks/:taskId/pause", taskId: TASK },
    },
    { kind: "admin:answered", actor: "operator", facts: { request: 1, outcome: "ok" } },
  ]);
});

it("[AL11] a change that is refused is in the log with the code, and no body ever is", async () => {
  expect((await pause(bearer(ADMIN), "unknown")).statusCode).toBe(404);
  const spec = { taskId: "new", model: { tensors: [{ name: "w", shape: [1] }] } };
  const create = { method: "POST", url: routes.tasks.path(), headers: bearer(ADMIN) } as const;
  const initialWeights = Buffer.from(Float32Array.of(0.577_215_66).buffer).toString("base64");
  await app.inject({ ...create, payload: { spec, initialWeights } });
  await app.inject({ ...create, payload: { spec, initialWeights: "!" } });
  expect(heart.audited.map(({ facts }) => facts)).toEqual([
    { action: "POST /v1/tasks/:taskId/pause", taskId: "unknown" },
    { request: 1, outcome: "TASK_NOT_FOUND" },
    { action: "POST /v1/tasks" },
    { request: 3, outcome: "ok" },
    { action: "POST /v1/tasks" },
    { request: 5, outcome: "MALFORMED_MESSAGE" },
  ]);
});

it("[AL11] a change that cannot be logged is not made; one that cannot be logged as done is not told as done", async () => {
  heart.onAudit = async () => {
    throw new FederatedError("UNAVAILABLE", "the disk is full");
  };
  expect((await pause(bearer(ADMIN))).statusCode).toBe(503);
  expect(heart.calls).toEqual([]);
  heart.onAudit = async ({ kind }) => {
    if (kind === "admin:answered") throw new FederatedError("UNAVAILABLE", "the disk is full");
  };
  expect((await pause(bearer(ADMIN))).statusCode).toBe(503);
  expect(heart.calls).toHaveLength(1);
});

it("[AL12] strangers, clients, readers and requests that are none cannot make the log grow", async () => {
  const post = { method: "POST", url: routes.tasks.path() } as const;
  await pause({});
  await pause(bearer(READER));
  await pause(bearer(VIEWER));
  await pause(bearer("wrong"));
  await pause(bearer(ADMIN), "NO ID");
  await app.inject({ ...post, headers: bearer(ADMIN), payload: { spec: { taskId: 7 } } });
  await app.inject({ method: "POST", url: "/v1/nowhere", headers: bearer(ADMIN) });
  await app.inject({ method: "DELETE", url: routes.tasks.path(), headers: bearer(ADMIN) });
  await app.inject({ url: routes.tasks.path(), headers: bearer(ADMIN) });
  await app.inject({
    method: "PUT",
    url: routes.update.path({ roundId: ROUND }),
    headers: { ...bearer(ASSIGNMENT), "content-type": "application/octet-stream" },
    payload: Buffer.from(heart.frame),
  });
  const checkIn = {
    method: "POST",
    url: `${routes.checkIns.path({ taskId: TASK })}?protocolVersion=1`,
  } as const;
  const clientKey = { [CLIENT_KEY_HEADER]: CLIENT_KEY };
  expect((await app.inject({ ...checkIn, headers: clientKey })).statusCode).toBe(200);
  expect((await app.inject(checkIn)).statusCode).toBe(401);
  const decline = { method: "POST", url: routes.decline.path({ roundId: ROUND }) } as const;
  const declined = await app.inject({ ...decline, headers: bearer(ASSIGNMENT) });
  expect(declined.statusCode).toBe(204);
  expect(heart.calls.map(([name]) => name)).toEqual([
    ...["admit", "authenticate", "ended", "authenticate", "decline"],
  ]);
  expect(heart.audited).toEqual([]);
  expect(heart.counted.notAllowed).toEqual([
    "UNAUTHENTICATED",
    "FORBIDDEN",
    "FORBIDDEN",
    "FORBIDDEN",
  ]);
});

it("[AL13] the log is read with the role of a viewer or an operator, in pages with its head, and shows no client", async () => {
  for (let i = 0; i < 3; i++) await pause(bearer(ADMIN));
  const isPage = Compile(AuditPageSchema);
  const get = async (query: string) => {
    const answer = await app.inject({
      url: `${routes.audit.path()}${query}`,
      headers: bearer(ADMIN),
    });
    expect(answer.body).not.toContain(CLIENT);
    const page = answer.json<{ items: { number: number }[]; next?: number; head: object }>();
    expect(isPage.Check(page)).toBe(true);
    expect(page.head).toEqual({ number: 6, hash: "6".padStart(64, "0") });
    return { numbers: page.items.map(({ number }) => number), next: page.next };
  };
  expect(await get("")).toEqual({ numbers: [1, 2, 3, 4, 5, 6], next: undefined });
  expect(await get("?limit=4")).toEqual({ numbers: [1, 2, 3, 4], next: 4 });
  expect(await get("?limit=4&after=4")).toEqual({ numbers: [5, 6], next: undefined });
  for (const [headers, status] of [
    [{}, 401],
    [bearer(READER), 403],
    [bearer(VIEWER), 200],
  ] as const) {
    expect((await app.inject({ url: routes.audit.path(), headers })).statusCode).toBe(status);
  }
});
