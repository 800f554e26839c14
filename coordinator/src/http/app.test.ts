import { once } from "node:events";
import { connect } from "node:net";

import { ERROR_TABLE, routes } from "@tributary/protocol";
import type { MonitoringEvent } from "@tributary/protocol";
import { ProblemSchema } from "@tributary/protocol/schema";
import type { FastifyInstance, InjectOptions } from "fastify";
import { Compile } from "typebox/compile";
import { afterEach, describe, expect, it } from "vitest";

import type { FakeHeart, FakeOptions } from "./app.fixture.ts";
import {
  ADMIN,
  ASSIGNMENT,
  CLIENT,
  createFakeHeart,
  READER,
  ROUND,
  roundResource,
  TASK,
  VIEWER,
} from "./app.fixture.ts";
import { createHttpApp } from "./app.ts";

let app: FastifyInstance;
let heart: FakeHeart;
async function start(options: FakeOptions = {}) {
  heart = await createFakeHeart(options);
  app = await createHttpApp(heart.deps);
}
afterEach(() => app.close());

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const isProblem = Compile(ProblemSchema);
/** The answer must be a problem of this code; gives it. */
async function problem(request: InjectOptions, code: keyof typeof ERROR_TABLE) {
  const answer = await app.inject(request);
  const body = answer.json<Record<string, unknown>>();
  expect(body).toMatchObject({ code, status: ERROR_TABLE[code].status });
  expect(isProblem.Check(body)).toBe(true);
  expect(answer.statusCode).toBe(ERROR_TABLE[code].status);
  expect(answer.headers["content-type"]).toBe("application/problem+json; charset=utf-8");
  expect(answer.headers["cache-control"]).toBe("no-store");
  return { answer, body };
}

/** Every way to read, with the parameters of the fake. */
function readPaths(): string[] {
  const { digest } = heart;
  return [
    routes.tasks.path(),
    routes.task.path({ taskId: TASK }),
    routes.rounds.path({ taskId: TASK }),
    routes.history.path({ taskId: TASK }),
    routes.round.path({ roundId: ROUND }),
    routes.models.path({ taskId: TASK }),
    routes.model.path({ taskId: TASK, modelVersion: 2 }),
    routes.checkpoint.path({ taskId: TASK, modelVersion: "latest" }),
    routes.checkpointByDigest.path({ digest }),
    routes.privacy.path({ taskId: TASK }),
    routes.keys.path(),
    routes.metrics.path(),
    routes.openapi.path(),
  ];
}

describe("faults", () => {
  it("[API1] an unknown path or method is NOT_FOUND as a problem", async () => {
    await start();
    await problem({ url: "/nowhere" }, "NOT_FOUND");
    await problem({ method: "DELETE", url: routes.tasks.path() }, "NOT_FOUND");
    await problem({ url: "/v1/tasks/%E0%A4%A" }, "MALFORMED_MESSAGE");
    await problem({ url: `/v1/tasks/${"a".repeat(5000)}` }, "MALFORMED_MESSAGE");
  });

  it("[API1] a body that is no JSON, too large or of a foreign type has its code", async () => {
    await start({ limits: { maxBodyBytes: 100 } });
    const post = { method: "POST", url: routes.pauseTask.path({ taskId: TASK }) } as const;
    const json = { ...bearer(ADMIN), "content-type": "application/json" };
    await problem({ ...post, headers: json, payload: "{" }, "MALFORMED_MESSAGE");
    await problem({ ...post, headers: json, payload: `"${"x".repeat(200)}"` }, "PAYLOAD_TOO_LARGE");
    const text = { ...bearer(ADMIN), "content-type": "application/xml" };
    await problem({ ...post, headers: text, payload: "<a/>" }, "MEDIA_TYPE_UNSUPPORTED");
    expect(heart.calls).toEqual([]);
  });

  it("[API2] an unforeseen fault is logged with its cause and shown without it", async () => {
    await start();
    const { body } = await problem(
      { url: routes.round.path({ roundId: "digits.13" }) },
      "INTERNAL",
    );
    expect(JSON.stringify(body)).not.toContain("secret");
    expect(heart.logged).toMatchObject([
      {
        level: "error",
        fields: { error: new Error(`secret of ${CLIENT}`), route: routes.round.pattern },
      },
    ]);
  });

  it("[API3] says all faults of a request at once, and names unknown fields", async () => {
    await start();
    const { body } = await problem(
      {
        method: "POST",
        url: routes.tasks.path(),
        headers: bearer(ADMIN),
        payload: {
          spec: {
            taskId: "t",
            model: { tensors: [{ name: "w", shape: [0] }] },
            plan: { epochs: 0, epoch: 3 },
            sampler: { kind: "uniform", cohortSize: 0 },
          },
        },
      },
      "MALFORMED_MESSAGE",
    );
    const { faults } = body.details as { faults: { path: string; message: string }[] };
    expect(faults.map(({ path }) => path).sort()).toEqual([
      "/spec/model/tensors/0/shape/0",
      "/spec/plan",
      "/spec/plan/epochs",
      "/spec/sampler/cohortSize",
    ]);
    expect(body.message).toContain("has unknown fields: epoch");
  });

  it("[API3] refuses ids and pages that cannot be", async () => {
    await start();
    await problem({ url: "/v1/tasks/Digits" }, "MALFORMED_MESSAGE");
    await problem({ url: "/v1/rounds/digits" }, "MALFORMED_MESSAGE");
    await problem({ url: "/v1/checkpoints/abc" }, "MALFORMED_MESSAGE");
    await problem({ url: "/v1/tasks/digits/models/-1" }, "MALFORMED_MESSAGE");
    for (const query of ["limit=0", "limit=201", "limit=x", "limit=1.5", "before=-1", "page=2"]) {
      await problem({ url: `/v1/tasks/digits/rounds?${query}` }, "MALFORMED_MESSAGE");
    }
  });

  it("[API4] a retryable fault says in seconds when to come again", async () => {
    await start();
    heart.ready = () => Promise.reject(new Error("/var/lib/secret.sqlite is locked"));
    const { answer, body } = await problem({ url: routes.readyz.path() }, "UNAVAILABLE");
    expect(answer.headers["retry-after"]).toBe("1");
    expect(body).toMatchObject({ retryable: true, retryAfterMs: 1000 });
    expect(answer.body).not.toContain("secret");
  });
});

describe("who may", () => {
  it("[API5] reading needs the reader's token where one is configured", async () => {
    await start({ protected: true });
    for (const url of [...readPaths(), routes.events.path()]) {
      const { answer } = await problem({ url }, "UNAUTHENTICATED");
      expect(answer.headers["www-authenticate"]).toBe("Bearer");
      await problem({ url, headers: { authorization: `Basic ${READER}` } }, "UNAUTHENTICATED");
    }
    for (const url of readPaths()) {
      for (const token of [READER, VIEWER, ADMIN]) {
        expect((await app.inject({ url, headers: bearer(token) })).statusCode, url).toBe(200);
      }
    }
  });

  it("[API5] reading is open where no token is configured", async () => {
    await start();
    for (const url of readPaths()) expect((await app.inject({ url })).statusCode, url).toBe(200);
  });

  it("[API6] steering needs the admin's token, before a body is read", async () => {
    await start();
    const steering = [
      routes.tasks.path(),
      routes.pauseTask.path({ taskId: TASK }),
      routes.resumeTask.path({ taskId: TASK }),
      routes.cancelTask.path({ taskId: TASK }),
      routes.rotateKeys.path(),
    ];
    for (const url of steering) {
      const request = { method: "POST", url, payload: "not even JSON" } as const;
      await problem(request, "UNAUTHENTICATED");
      await problem({ ...request, headers: bearer(READER) }, "FORBIDDEN");
      await problem({ ...request, headers: bearer(VIEWER) }, "FORBIDDEN");
    }
    expect(heart.calls).toEqual([]);
  });

  it("[API7] probes are open to everybody and tell alive from ready", async () => {
    await start({ protected: true });
    const ready = await app.inject(routes.readyz.path());
    expect(ready.json()).toEqual({ status: "ready", version: "1.2.3" });
    heart.ready = () => Promise.reject(new Error("closing"));
    expect((await app.inject(routes.readyz.path())).statusCode).toBe(503);
    expect((await app.inject(routes.livez.path())).json()).toMatchObject({ status: "alive" });
  });
});

it("[MO13] who asks for the probes does not fill the log: a fault is told once until it changes", async () => {
  await start();
  const ask = async () => {
    for (let i = 0; i < 20; i++) await app.inject(routes.readyz.path());
  };
  for (const reason of ["disk full", "closing"]) {
    heart.ready = () => Promise.reject(new Error(reason));
    await ask();
  }
  heart.ready = async () => {};
  await ask();
  heart.ready = () => Promise.reject(new Error("closing"));
  await ask();
  const told = heart.logged.map(({ fields }) => String((fields as { error: Error }).error));
  expect(told).toEqual(["Error: disk full", "Error: closing", "Error: closing"]);
});

describe("every answer", () => {
  it("[API8] forbids sniffing, referrers and caching, and names no server", async () => {
    await start();
    const answers = [...readPaths(), "/nowhere", routes.livez.path(), "/v1/tasks/%E0%A4%A"];
    for (const url of answers) {
      const { headers } = await app.inject(url);
      expect(headers, url).toMatchObject({
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
      });
      expect(headers.server).toBeUndefined();
      expect(headers["x-powered-by"]).toBeUndefined();
      if (!url.includes("checkpoints")) expect(headers["cache-control"], url).toBe("no-store");
    }
  });

  it("[API9] holds no client's id, whatever the heart's records carry by mistake", async () => {
    await start();
    // The fake's records do carry it: this would find a leak.
    expect(JSON.stringify([heart.task, heart.model, roundResource])).toContain(CLIENT);
    const requests: InjectOptions[] = [
      ...readPaths().map((url) => ({ url })),
      { url: routes.round.path({ roundId: "digits.13" }) },
      ...["pauseTask", "resumeTask", "cancelTask"].map((name) => ({
        method: "POST" as const,
        url: routes[name as "pauseTask"].path({ taskId: TASK }),
        headers: bearer(ADMIN),
      })),
      {
        method: "POST",
        url: routes.tasks.path(),
        headers: bearer(ADMIN),
        payload: { spec: { taskId: "t", model: { tensors: [{ name: "w", shape: [1] }] } } },
      },
      {
        method: "PUT",
        url: routes.update.path({ roundId: ROUND }),
        headers: { ...bearer("assignment-token"), "content-type": "application/octet-stream" },
        payload: Buffer.alloc(70),
      },
    ];
    for (const request of requests) {
      const answer = await app.inject(request);
      const text = answer.body + JSON.stringify(answer.headers);
      expect(text, JSON.stringify(request.url)).not.toContain(CLIENT);
      // The description names the one field there is: of a check-in, which tells a client its own id.
      const named = request.url === routes.openapi.path() ? /cohort"/ : /clientId|cohort"/;
      expect(text, JSON.stringify(request.url)).not.toMatch(named);
    }
  });
});

describe("closing", () => {
  it("[API10] ends streams, refuses what comes in meanwhile and lets the port go", async () => {
    await start();
    await app.listen({ host: "127.0.0.1", port: 0 });
    const address = app.server.address() as { port: number };
    const url = `http://127.0.0.1:${address.port}`;
    const stream = await fetch(url + routes.events.path());
    const rest = stream.text();
    heart.bus.emit({ type: "task:created", taskId: TASK, data: { state: "running" } });
    const ahead = connect(address.port, "127.0.0.1"); // opened without a request, as browsers do
    await once(ahead, "connect");
    const started = performance.now();
    await app.close();
    expect(performance.now() - started).toBeLessThan(1900);
    expect(await rest).toContain(
      "event: task:created" satisfies `event: ${MonitoringEvent["type"]}`,
    );
    await expect(fetch(url + routes.livez.path())).rejects.toThrow();
  });

  it("[API10] lets a request under way finish, and cuts what never does", async () => {
    await start();
    await app.listen({ host: "127.0.0.1", port: 0 });
    const { port } = app.server.address() as { port: number };
    const url = `http://127.0.0.1:${port}`;
    let release = () => {};
    heart.ready = () => new Promise((resolve) => (release = resolve));
    const under = fetch(url + routes.readyz.path());
    const stuck = connect(port, "127.0.0.1");
    stuck.write(
      `PUT ${routes.update.path({ roundId: ROUND })} HTTP/1.1\r\nhost: x\r\n` +
        `authorization: Bearer ${ASSIGNMENT}\r\ncontent-length: 100\r\n\r\n0123456789`,
    );
    while (heart.counted.received < 10) await new Promise((resolve) => setTimeout(resolve, 5));
    const closed = app.close();
    setTimeout(() => release(), 50);
    expect((await under).status).toBe(200);
    await closed;
  });
});
