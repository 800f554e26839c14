import { routes } from "@tributary/protocol";
import type { FastifyInstance } from "fastify";
import { afterEach, describe, expect, it } from "vitest";

import type { FakeHeart, FakeOptions } from "./app.fixture.ts";
import { ADMIN, createFakeHeart, READER, TASK } from "./app.fixture.ts";
import { createHttpApp } from "./app.ts";

let app: FastifyInstance;
let heart: FakeHeart;
let now: number;
async function start(options: FakeOptions) {
  now = 0;
  const clock = { now: () => 0, monotonicMs: () => now, after: () => ({ cancel: () => {} }) };
  const peerAddress: FakeOptions["peerAddress"] = ({ headers }) => String(headers["x-peer"] ?? "a");
  heart = await createFakeHeart({ clock, peerAddress, ...options });
  app = await createHttpApp(heart.deps);
}
afterEach(() => app.close());

const get = (url: string, headers: Record<string, string> = {}) =>
  app.inject({ method: "GET", url, headers });
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

describe("requests of one address", () => {
  it("[LIM1] beyond the rate are refused with a code, the time to wait, and the name of the limit", async () => {
    await start({ rates: { requestsPerSecondPerAddress: 1 } });
    for (let i = 0; i < 10; i++) expect((await get(routes.tasks.pattern)).statusCode).toBe(200);
    const refused = await get(routes.tasks.pattern);
    expect(refused.statusCode).toBe(429);
    expect(refused.headers["retry-after"]).toBe("1");
    expect(refused.headers["content-type"]).toMatch("application/problem+json");
    expect(refused.json()).toMatchObject({
      ...{ code: "RATE_LIMITED", retryable: true, retryAfterMs: 1000 },
      details: { limit: "requestsPerSecondPerAddress" },
    });
    expect((await get("/nowhere")).statusCode).toBe(429);
    expect((await get(routes.tasks.pattern, { "x-peer": "b" })).statusCode).toBe(200);
    expect(heart.counted.refused).toEqual(Array(2).fill("requestsPerSecondPerAddress"));
    now += 1000;
    expect((await get(routes.tasks.pattern)).statusCode).toBe(200);
  });

  it("[LIM1] of paths that cannot be read have the same rate", async () => {
    await start({ rates: { requestsPerSecondPerAddress: 1 } });
    for (let i = 0; i < 5; i++) expect((await get("/%zz")).statusCode).toBe(400);
    for (let i = 0; i < 5; i++)
      expect((await get(`/v1/tasks/${"a".repeat(150)}`)).statusCode).toBe(400);
    const refused = await get("/%zz");
    expect(refused.statusCode).toBe(429);
    expect(refused.headers["retry-after"]).toBe("1");
    expect(heart.counted.refused).toEqual(["requestsPerSecondPerAddress"]);
    expect((await get(routes.tasks.pattern)).statusCode).toBe(429);
  });

  it("[LIM6] a flood does not make the coordinator look dead to its supervisor", async () => {
    await start({ rates: { requestsPerSecondPerAddress: 1 } });
    for (let i = 0; i < 20; i++) await get(routes.tasks.pattern);
    expect((await get(routes.livez.pattern)).statusCode).toBe(200);
    expect((await get(routes.readyz.pattern)).statusCode).toBe(200);
  });
});

describe("wrong credentials", () => {
  const cancel = (token: string, peer = "a") =>
    app.inject({
      method: "POST",
      url: routes.cancelTask.path({ taskId: TASK }),
      headers: { ...bearer(token), "x-peer": peer },
    });

  it("[LIM5] are refused unread once there were too many, right ones among them", async () => {
    await start({ protected: true, rates: { failedAuthenticationsPerSecondPerAddress: 1 } });
    for (let i = 0; i < 5; i++) expect((await cancel(`guess-${i}`)).statusCode).toBe(403);
    for (let i = 0; i < 5; i++) {
      expect((await get(routes.tasks.pattern, bearer(`guess-${i}`))).statusCode).toBe(401);
    }
    for (const answer of [await cancel("guess"), await cancel(ADMIN)]) {
      expect(answer.statusCode).toBe(429);
      expect(answer.json()).toMatchObject({
        details: { limit: "failedAuthenticationsPerSecondPerAddress" },
      });
    }
    expect(heart.calls).not.toContainEqual(["cancel", TASK]);
    expect((await cancel(ADMIN, "b")).statusCode).toBe(200);
    now += 1000;
    expect((await cancel(ADMIN)).statusCode).toBe(200);
  });

  it("[LIM5] are only those that were given: none at all is no guess", async () => {
    await start({ protected: true, rates: { failedAuthenticationsPerSecondPerAddress: 1 } });
    for (let i = 0; i < 50; i++) expect((await get(routes.tasks.pattern)).statusCode).toBe(401);
    expect((await get(routes.tasks.pattern, bearer(READER))).statusCode).toBe(200);
  });
});

it("[LIM6] a body for a path that does not exist is refused before it is read", async () => {
  await start({});
  const answer = await app.inject({
    method: "POST",
    url: "/nowhere",
    headers: { "content-type": "application/json" },
    payload: "{ this would be malformed",
  });
  expect(answer.statusCode).toBe(404);
  expect(answer.json()).toMatchObject({ code: "NOT_FOUND" });
});
