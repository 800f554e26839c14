import { once } from "node:events";
import { connect } from "node:net";

import type { Assignment, Layout, Receipt, TaskSpecInput } from "@tributary/protocol";
import {
  CLIENT_KEY_HEADER,
  createLayout,
  encodeUpdate,
  PROTOCOL_VERSION,
  routes,
} from "@tributary/protocol";
import { expect, test } from "vitest";

import { smallTask, startCoordinator } from "../support/coordinator.ts";
import { ask, waitsFor } from "../support/raw-check-in.ts";
import { connectRaw, newClientKey } from "../support/raw-client.ts";

const TASK = "small";

const layoutOf = ({ model }: TaskSpecInput): Promise<Layout> => createLayout(model.tensors);

async function report(url: string, layout: Layout, { update }: Assignment): Promise<Receipt> {
  const delta = new Float32Array(layout.parameterCount).fill(0.5);
  const response = await fetch(url + update.url, {
    method: "PUT",
    headers: {
      authorization: `Bearer ${update.token}`,
      "content-type": "application/octet-stream",
    },
    body: encodeUpdate(layout, { delta, numExamples: 3, metrics: {} }) as BodyInit,
  });
  expect(response.status).toBe(200);
  return (await response.json()) as Receipt;
}

test("[MC10] clients with and without a socket are in one round, and a published model is of both", async () => {
  await using running = await startCoordinator();
  const spec = smallTask({ schedule: { minClients: 3, minReports: 3 } });
  const { url, coordinator } = running;
  await coordinator.tasks.create(spec);
  const layout = await layoutOf(spec);
  await using socket = await connectRaw(url);
  const asked = [ask(url), ask(url)];
  await socket.checkIn(TASK);
  const answers = await Promise.all(asked);
  const places = [...answers.map(({ body }) => body.assignment!), await socket.nextAssignment()];
  expect(new Set(places.map(({ roundId }) => roundId))).toEqual(new Set(["small.1"]));
  for (const { body } of answers) {
    expect(body.task.layout.digest).toBe(layout.digest);
    expect(body.comeBackInMs).toBeGreaterThan(0);
  }
  for (const place of places) {
    expect(await report(url, layout, place)).toMatchObject({ status: "accepted" });
  }
  const round = await running.roundEnded(1);
  expect(round).toMatchObject({ phase: "committed", participants: { selected: 3, reported: 3 } });
  expect((await coordinator.models.get(spec.taskId as never, "latest")).modelVersion).toBe(1);
});

test("[MC11] who finds no place is held for as long as it can wait, waits for that time alone, and is told when to come back", async () => {
  await using running = await startCoordinator({ config: { timing: { checkInHoldMs: 60_000 } } });
  const { url, coordinator } = running;
  await coordinator.tasks.create(smallTask());
  const { status, body } = await ask(url, { query: "&waitMs=50" });
  expect(status).toBe(200);
  expect(body.assignment).toBeUndefined();
  expect(body.comeBackInMs).toBeGreaterThan(0);
  expect((await coordinator.tasks.get(TASK as never)).clientsWaiting).toBe(0);
  // It does not count: a single client more begins no round of two.
  expect((await ask(url, { query: "&waitMs=50" })).body.assignment).toBeUndefined();
});

test("[MC11] whoever is there by a socket waits on where it has offered itself there, and only there", async () => {
  await using running = await startCoordinator();
  const { url, coordinator } = running;
  await coordinator.tasks.create(smallTask());
  await using socket = await connectRaw(url);
  const { clientKey } = socket;
  await ask(url, { clientKey, query: "&waitMs=50" });
  expect((await coordinator.tasks.get(TASK as never)).clientsWaiting).toBe(0);
  await socket.checkIn(TASK);
  await ask(url, { clientKey, query: "&waitMs=50" });
  expect((await coordinator.tasks.get(TASK as never)).clientsWaiting).toBe(1);
});

test("[MC11] the coordinator's own limit on how long it holds is kept", async () => {
  await using running = await startCoordinator({ config: { timing: { checkInHoldMs: 500 } } });
  await running.coordinator.tasks.create(smallTask());
  const { body } = await ask(running.url, { query: "&waitMs=60000" });
  expect(body.assignment).toBeUndefined();
});

test("[MC12] a held client that goes away waits no more", async () => {
  await using running = await startCoordinator();
  const { url, coordinator } = running;
  await coordinator.tasks.create(smallTask());
  const leaving = new AbortController();
  const gone = ask(url, { signal: leaving.signal }).catch(() => "gone");
  await waitsFor(running, 1);
  leaving.abort();
  expect(await gone).toBe("gone");
  await waitsFor(running, 0);
});

test("[MC12] who was told of its place is waited for without a connection, and who gives it back is not", async () => {
  const config = { timing: { disconnectGraceMs: 0 } };
  await using running = await startCoordinator({ config });
  const { url, coordinator } = running;
  const spec = smallTask();
  await coordinator.tasks.create(spec);
  const layout = await layoutOf(spec);
  const [one, other] = (await Promise.all([ask(url), ask(url)])).map(
    ({ body }) => body.assignment!,
  );
  await report(url, layout, one!);
  // Without a connection, and yet there: nobody is missed before the deadline.
  const { currentRound } = await coordinator.tasks.get(TASK as never);
  expect(currentRound?.participants).toMatchObject({ reported: 1, pending: 1, disconnected: 0 });
  const decline = (token: string) =>
    fetch(url + routes.decline.path({ roundId: other!.roundId }), {
      method: "POST",
      headers: { authorization: `Bearer ${token}` },
    });
  expect((await decline("not a token")).status).toBe(401);
  expect((await decline(other!.update.token)).status).toBe(204);
  expect(await running.roundEnded(1)).toMatchObject({ participants: { declined: 1, reported: 1 } });
});

test("[MC12] a client that asks again has the same place", async () => {
  await using running = await startCoordinator();
  const { url, coordinator } = running;
  await coordinator.tasks.create(smallTask());
  const clientKey = newClientKey();
  const [first] = await Promise.all([ask(url, { clientKey }), ask(url)]);
  const again = await ask(url, { clientKey });
  expect(again.body.assignment?.roundId).toBe(first.body.assignment?.roundId);
});

test("[MC13] one client and task has one request held, and all together as many as there may be", async () => {
  await using running = await startCoordinator({ config: { limits: { heldCheckIns: 1 } } });
  const { url, coordinator } = running;
  await coordinator.tasks.create(smallTask());
  const clientKey = newClientKey();
  const first = ask(url, { clientKey });
  await waitsFor(running, 1);
  const { status, body } = await ask(url);
  expect(status).toBe(429);
  expect(body).toMatchObject({ code: "RATE_LIMITED", details: { limit: "heldCheckIns" } });
  expect(body.retryAfterMs).toBeGreaterThan(0);
  await coordinator.tasks.cancel(TASK as never);
  expect((await first).body).toMatchObject({ code: "TASK_ENDED" });
});

test("[MC13] a newer request of the same client takes the older one's place", async () => {
  await using running = await startCoordinator();
  const { url, coordinator } = running;
  await coordinator.tasks.create(smallTask());
  const clientKey = newClientKey();
  const older = ask(url, { clientKey });
  await waitsFor(running, 1);
  const newer = ask(url, { clientKey });
  expect((await older).body.assignment).toBeUndefined();
  const third = ask(url);
  expect((await newer).body.assignment).toBeDefined();
  expect((await third).body.assignment).toBeDefined();
});

test("[MC13] a newer request that is refused takes nothing from the older one, which ends as it would have", async () => {
  await using running = await startCoordinator({ config: { timing: { checkInHoldMs: 60_000 } } });
  await running.coordinator.tasks.create(smallTask());
  const clientKey = newClientKey();
  // There for something else: it has not offered itself, so that its connection waits for no round.
  await using socket = await connectRaw(running.url, { clientKey });
  const leaving = new AbortController();
  const older = ask(running.url, { clientKey, signal: leaving.signal }).catch(() => "gone");
  await waitsFor(running, 1);
  const newer = await ask(running.url, { clientKey, protocolVersion: 99 });
  expect(newer.status).toBe(426);
  expect((await running.coordinator.tasks.get(TASK as never)).clientsWaiting).toBe(1);
  leaving.abort();
  expect(await older).toBe("gone");
  await waitsFor(running, 0);
  expect(socket.socket.connected).toBe(true);
});

test.each([
  ["no client key", { clientKey: "" }, 401, "UNAUTHENTICATED"],
  ["no token", {}, 401, "UNAUTHENTICATED"],
  ["a wrong token", { headers: { authorization: "Bearer wrong" } }, 401, "UNAUTHENTICATED"],
  ["a foreign page", { headers: { origin: "https://evil.example" } }, 403, "FORBIDDEN"],
  ["a body", { body: "x" }, 400, "MALFORMED_MESSAGE"],
] as const)(
  "[MC14] %s is refused as a socket's handshake would be",
  async (_, options, status, code) => {
    const config = { auth: { clientToken: "a-token-for-the-clients-of-this-test" } };
    await using running = await startCoordinator({ config });
    await running.coordinator.tasks.create(smallTask());
    const answer = await ask(running.url, options);
    expect(answer).toMatchObject({ status, body: { code } });
  },
);

test.each([
  ["an unknown task", { taskId: "other" }, 404, "TASK_NOT_FOUND"],
  ["an impossible wait", { query: "&waitMs=-1" }, 400, "MALFORMED_MESSAGE"],
  ["an unknown field", { query: "&wait=1" }, 400, "MALFORMED_MESSAGE"],
] as const)("[MC14] %s is refused with its code", async (_, options, status, code) => {
  await using running = await startCoordinator();
  await running.coordinator.tasks.create(smallTask());
  expect(await ask(running.url, options)).toMatchObject({ status, body: { code } });
});

test("[MC14] one connection holds one client: requests that are sent behind a held one are refused", async () => {
  await using running = await startCoordinator({ config: { timing: { checkInHoldMs: 60_000 } } });
  const { url, coordinator } = running;
  await coordinator.tasks.create(smallTask({ schedule: { minClients: 3, minReports: 1 } }));
  const path = `${routes.checkIns.path({ taskId: TASK })}?protocolVersion=${PROTOCOL_VERSION}`;
  const request = () =>
    `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\n${CLIENT_KEY_HEADER}: ${newClientKey()}\r\ncontent-length: 0\r\n\r\n`;
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  await once(socket, "connect");
  let answers = "";
  socket.on("data", (bytes: Buffer) => void (answers += bytes.toString()));
  socket.write(request() + request() + request());
  await waitsFor(running, 1);
  // Another connection: what was sent before it has been read.
  expect((await ask(url, { query: "&waitMs=100" })).body.assignment).toBeUndefined();
  expect((await coordinator.tasks.get(TASK as never)).clientsWaiting).toBe(1);
  const round = await Promise.all([ask(url), ask(url)]);
  expect(round.every(({ body }) => body.assignment !== undefined)).toBe(true);
  // Now the refusals are their turn.
  while (answers.split("MALFORMED_MESSAGE").length < 3) await once(socket, "data");
  socket.destroy();
  await once(socket, "close");
});

test("[MC14] another version of the protocol is told so", async () => {
  await using running = await startCoordinator();
  await running.coordinator.tasks.create(smallTask());
  const path = `${routes.checkIns.path({ taskId: TASK })}?protocolVersion=99`;
  const response = await fetch(running.url + path, {
    method: "POST",
    headers: { [CLIENT_KEY_HEADER]: newClientKey() },
  });
  expect(response.status).toBe(426);
});

test("[MC12] a coordinator that closes answers whom it holds", async () => {
  const running = await startCoordinator();
  await running.coordinator.tasks.create(smallTask());
  const held = ask(running.url);
  await waitsFor(running, 1);
  await running.coordinator.close();
  expect((await held).status).toBe(200);
});

test("[MC2] a round of more clients than are told at once reaches every one of them", async () => {
  await using running = await startCoordinator();
  const count = 300;
  const schedule = { minClients: count, minReports: 1 };
  await running.coordinator.tasks.create(smallTask({ schedule }));
  const answers = await Promise.all(Array.from({ length: count }, () => ask(running.url)));
  const tokens = answers.map(({ body }) => body.assignment?.update.token);
  expect(new Set(tokens).size).toBe(count);
  expect(tokens).not.toContain(undefined);
});

/** Looks until so many wait; the test's own deadline ends it. */
