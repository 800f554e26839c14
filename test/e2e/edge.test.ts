import { once } from "node:events";
import { request } from "node:http";

import { createClient } from "@tributary/client-sdk";
import type { TaskId } from "@tributary/protocol";
import { routes, SOCKET_PATH } from "@tributary/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import type { RunningCoordinator } from "../support/coordinator.ts";
import { smallTask, startCoordinator } from "../support/coordinator.ts";
import { countingTrainer } from "../support/trainers.ts";
import { exchangePlain, handshake } from "../support/raw-http.ts";

const APP = "https://app.example";
const EVIL = "https://evil.example";
const TASK = "small" as TaskId;
const SECURITY_HEADERS = {
  "content-security-policy":
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": expect.stringContaining("camera=()") as string,
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

let closed: RunningCoordinator;
let open: RunningCoordinator;
beforeAll(async () => {
  closed = await startCoordinator();
  open = await startCoordinator({ config: { server: { allowedOrigins: [APP] } } });
  for (const { coordinator } of [closed, open]) await coordinator.tasks.create(smallTask());
});
afterAll(async () => {
  await closed[Symbol.asyncDispose]();
  await open[Symbol.asyncDispose]();
});

type Ask = Omit<RequestInit, "headers"> & { readonly headers?: Readonly<Record<string, string>> };
const ask = (running: RunningCoordinator, path: string, init: Ask = {}) =>
  fetch(`${running.url}${path}`, { ...init, headers: { origin: APP, ...init.headers } });

describe("[NET2] security headers", () => {
  test.each([
    ["an answer", "GET", routes.tasks.path(), 200],
    ["a checkpoint", "GET", routes.checkpoint.path({ taskId: TASK, modelVersion: "latest" }), 200],
    ["the API's description", "GET", routes.openapi.path(), 200],
    ["metrics", "GET", routes.metrics.path(), 200],
    ["an unknown path", "GET", "/nowhere", 404],
    ["a broken path", "GET", "/v1/tasks/%E0%A4%A", 400],
    ["a refusal", "POST", routes.tasks.path(), 401],
    ["polling", "GET", `${SOCKET_PATH}/?EIO=4&transport=polling`, 404],
  ])("[NET2] are on %s", async (_, method, path, status) => {
    const answer = await ask(closed, path, { method });
    await answer.arrayBuffer();
    expect(answer.status).toBe(status);
    expect(Object.fromEntries(answer.headers)).toMatchObject(SECURITY_HEADERS);
    // This one speaks no TLS, so it must not promise any.
    expect(answer.headers.get("strict-transport-security")).toBeNull();
  });

  test("[NET2] are on an event stream, whose head is written by hand", async () => {
    const controller = new AbortController();
    const answer = await ask(closed, routes.events.path(), { signal: controller.signal });
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      ...SECURITY_HEADERS,
      "content-type": "text/event-stream; charset=utf-8",
    });
    controller.abort();
  });

  test.each([
    ["no HTTP", "EHLO\r\n\r\n", 400, "MALFORMED_MESSAGE"],
    ["TLS on a port without", "\u0016\u0003\u0001\u0000\u0005\u0001", 400, "MALFORMED_MESSAGE"],
    [
      "headers without end",
      `GET / HTTP/1.1\r\nx: ${"x".repeat(40_000)}\r\n\r\n`,
      413,
      "PAYLOAD_TOO_LARGE",
    ],
    [
      "an unknown expectation",
      "POST /v1/tasks HTTP/1.1\r\nhost: 127.0.0.1\r\nexpect: x\r\nconnection: close\r\n\r\n",
      401,
      "UNAUTHENTICATED",
    ],
    ["no Host", "GET /livez HTTP/1.1\r\nconnection: close\r\n\r\n", 400, "MALFORMED_MESSAGE"],
  ])("[NET2] are on the answer to %s", async (_, text, status, code) => {
    const answer = await exchangePlain(closed.url, text);
    expect(answer.status).toBe(status);
    expect(answer.headers).toMatchObject({
      ...SECURITY_HEADERS,
      "content-type": "application/problem+json; charset=utf-8",
      connection: "close",
    });
    expect(JSON.parse(answer.body)).toMatchObject({ code, status });
  });

  test("[NET2] are on refused upgrades", async () => {
    const text = handshake(closed.url, { headers: { origin: EVIL } });
    const answer = await exchangePlain(closed.url, text);
    expect(answer).toMatchObject({ status: 403, headers: SECURITY_HEADERS });
  });
});

describe("[NET3] other origins", () => {
  const preflight = (running: RunningCoordinator, origin: string) =>
    ask(running, routes.update.path({ roundId: "small.1" }), {
      method: "OPTIONS",
      headers: {
        origin,
        "access-control-request-method": "PUT",
        "access-control-request-headers": "authorization,content-type",
      },
    });

  test("[NET3] get nothing by default, no preflight either", async () => {
    const answer = await ask(closed, routes.tasks.path());
    expect([...answer.headers.keys()].filter((name) => name.startsWith("access-"))).toEqual([]);
    const asked = await preflight(closed, APP);
    expect(asked.status).toBe(404);
    expect([...asked.headers.keys()].filter((name) => name.startsWith("access-"))).toEqual([]);
  });

  test("[NET3] that are allowed may read and send, with the headers that a client needs", async () => {
    const path = routes.checkpoint.path({ taskId: TASK, modelVersion: "latest" });
    const answer = await ask(open, path, { headers: { range: "bytes=0-3" } });
    expect(answer.status).toBe(206);
    expect(answer.headers.get("access-control-allow-origin")).toBe(APP);
    const exposed = answer.headers.get("access-control-expose-headers")?.split(", ");
    expect(exposed).toEqual(expect.arrayContaining(["etag", "content-range", "retry-after"]));
    // Shared caches must not give one origin's answer to another.
    expect(answer.headers.get("vary")).toContain("Origin");

    const asked = await preflight(open, APP);
    expect(asked.status).toBe(200);
    expect(asked.headers.get("access-control-allow-origin")).toBe(APP);
    expect(asked.headers.get("access-control-allow-methods")).toContain("PUT");
    expect(asked.headers.get("access-control-allow-headers")).toContain("authorization");
    expect(Object.fromEntries(asked.headers)).toMatchObject(SECURITY_HEADERS);

    const refusal = await ask(open, routes.tasks.path(), { method: "POST" });
    expect(refusal.status).toBe(401);
    expect(refusal.headers.get("access-control-allow-origin")).toBe(APP);
    const stream = new AbortController();
    const events = await ask(open, routes.events.path(), { signal: stream.signal });
    expect(events.headers.get("access-control-allow-origin")).toBe(APP);
    stream.abort();
  });

  test("[NET3] that are allowed may send everything that an SDK client sends", async () => {
    await using running = await startCoordinator({ config: { server: { allowedOrigins: [APP] } } });
    await running.coordinator.tasks.create(smallTask({ stop: { maxRounds: 1 } }));
    const asked = new Map<string, Request>();
    // What a browser would ask a preflight for: method, and headers beyond the few it always lets pass.
    const spy: typeof fetch = (input, init) => {
      const sent = new Request(input, init);
      asked.set(`${sent.method} ${[...sent.headers.keys()].join()}`, sent);
      return fetch(input, init);
    };
    const clients = [1, 2].map(() => createClient({ url: running.url, fetch: spy }));
    for (const client of clients) client.join(TASK, { trainer: countingTrainer() });
    expect((await running.roundEnded(1)).phase).toBe("committed");
    for (const client of clients) await client.close();
    expect([...asked.values()].map(({ method }) => method)).toContain("PUT");
    const answer = await preflight(running, APP);
    const list = (name: string) => answer.headers.get(name)?.toLowerCase().split(", ") ?? [];
    for (const { method, headers } of asked.values()) {
      expect(list("access-control-allow-methods")).toContain(method.toLowerCase());
      for (const name of headers.keys()) {
        expect(list("access-control-allow-headers"), `${method} ${name}`).toContain(name);
      }
    }
  });

  test("[NET3] are told to wait, and may read for how long, when they flood with preflights", async () => {
    const limits = { requestsPerSecondPerAddress: 1 };
    await using running = await startCoordinator({
      config: { server: { allowedOrigins: [APP] }, limits },
    });
    let answer = await preflight(running, APP);
    for (let i = 0; i < 1000 && answer.ok; i++) answer = await preflight(running, APP);
    expect(answer.status).toBe(429);
    expect(answer.headers.get("access-control-allow-origin")).toBe(APP);
    expect(answer.headers.get("access-control-expose-headers")).toContain("retry-after");
  });

  test("[NET3] that look like an allowed one get nothing, and credentials are never asked for", async () => {
    for (const origin of [
      EVIL,
      `${APP}.evil.example`,
      `${APP}:8443`,
      "http://app.example",
      "null",
    ]) {
      for (const answer of [
        await ask(open, routes.tasks.path(), { headers: { origin } }),
        await preflight(open, origin),
      ]) {
        expect(answer.headers.get("access-control-allow-origin"), origin).toBeNull();
        expect(answer.headers.get("access-control-allow-credentials")).toBeNull();
      }
    }
    const allowed = await ask(open, routes.tasks.path());
    expect(allowed.headers.get("access-control-allow-credentials")).toBeNull();
    expect(allowed.headers.get("set-cookie")).toBeNull();
  });
});

test("[NET4] a page that rebinds its name to 127.0.0.1 is refused, by HTTP and by socket", async () => {
  const { hostname, port } = new URL(closed.url);
  const asked = request({
    ...{ hostname, port, path: routes.tasks.path() },
    headers: { host: `rebound.example:${port}`, origin: `http://rebound.example:${port}` },
  }).end();
  const [answer] = (await once(asked, "response")) as [{ statusCode: number; resume(): void }];
  answer.resume();
  expect(answer.statusCode).toBe(403);
  const headers = { host: `rebound.example:${port}`, origin: `http://rebound.example:${port}` };
  const upgrade = await exchangePlain(closed.url, handshake(closed.url, { headers }));
  expect(upgrade.status).toBe(403);
  expect(JSON.parse(upgrade.body)).toMatchObject({ code: "FORBIDDEN" });
});

test("[NET5] sockets of other pages are refused, of allowed ones and the coordinator's own are not", async () => {
  const dial = async (running: RunningCoordinator, origin: string | undefined) => {
    const text = handshake(running.url, { headers: { origin } });
    return (await exchangePlain(running.url, text)).status;
  };
  expect(await dial(closed, APP)).toBe(403);
  expect(await dial(closed, "null")).toBe(403);
  expect(await dial(closed, closed.url)).toBe(101);
  expect(await dial(closed, undefined)).toBe(101);
  expect(await dial(open, APP)).toBe(101);
  expect(await dial(open, EVIL)).toBe(403);
  expect(await dial(open, open.url)).toBe(101);
});

test.each([
  ["another path", { path: "/v1/tasks" }, 404],
  ["a path below", { path: `${SOCKET_PATH}/x?EIO=4&transport=websocket` }, 404],
  ["another protocol", { headers: { upgrade: "h2c" } }, 400],
  ["no key", { headers: { "sec-websocket-key": undefined } }, 400],
  ["a key that is none", { headers: { "sec-websocket-key": "short" } }, 400],
  ["another version", { headers: { "sec-websocket-version": "7" } }, 400],
  ["another method", { method: "POST" }, 400],
  ["polling", { path: `${SOCKET_PATH}/?EIO=4&transport=polling` }, 400],
  ["an old socket.io", { path: `${SOCKET_PATH}/?EIO=3&transport=websocket` }, 400],
  ["two protocols", { path: `${SOCKET_PATH}/?EIO=4&transport=websocket&EIO=5` }, 400],
  ["two transports", { path: `${SOCKET_PATH}/?EIO=4&transport=websocket&transport=x` }, 400],
  ["a subprotocol", { headers: { "sec-websocket-protocol": ",," } }, 400],
  ["somebody's session", { path: `${SOCKET_PATH}/?EIO=4&transport=websocket&sid=x` }, 400],
])("[NET6] an upgrade with %s is refused with a code", async (_, changes, status) => {
  const answer = await exchangePlain(closed.url, handshake(closed.url, changes));
  expect(answer.status).toBe(status);
  expect(answer.headers).toMatchObject(SECURITY_HEADERS);
  expect(JSON.parse(answer.body)).toMatchObject({ status });
});

test("[NET6] a proper handshake becomes a WebSocket", async () => {
  const answer = await exchangePlain(closed.url, handshake(closed.url));
  expect(answer.status).toBe(101);
});
