/** Floods from few addresses and clients against a real server, with honest clients beside them. */

import { on, once } from "node:events";
import type { Socket } from "node:net";
import { connect } from "node:net";

import type { TaskId } from "@tributary/protocol";
import { isFederatedError, PROTOCOL_VERSION, SOCKET_PATH } from "@tributary/protocol";
import { expect, test } from "vitest";

import type { RunningCoordinator } from "../support/coordinator.ts";
import { smallTask, startCoordinator } from "../support/coordinator.ts";
import type { RawClient } from "../support/raw-client.ts";
import { connectRaw, newClientKey } from "../support/raw-client.ts";

const TASK = "small" as TaskId;

/** Opens so many connections at once. @returns those let in, and the refusals of the others */
async function flood(count: number, open: (i: number) => Promise<RawClient>) {
  const tries = await Promise.allSettled(Array.from({ length: count }, (_, i) => open(i)));
  return {
    admitted: tries.flatMap((each) => (each.status === "fulfilled" ? [each.value] : [])),
    refusals: tries.flatMap((each) => (each.status === "rejected" ? [each.reason as unknown] : [])),
  };
}

const limitsOf = (errors: readonly unknown[]) => [
  ...new Set(errors.map((error) => (isFederatedError(error) ? error.details?.limit : error))),
];

const closeAll = (clients: readonly RawClient[]) =>
  Promise.all(clients.map((client) => client[Symbol.asyncDispose]()));

/** Two honest clients take a round from its check-ins to its commit. */
async function completeRound(running: RunningCoordinator, roundNumber: number): Promise<void> {
  const { clientToken } = running.coordinator.config.auth;
  const token = clientToken === undefined ? {} : { token: clientToken };
  await using first = await connectRaw(running.url, token);
  await using second = await connectRaw(running.url, token);
  const [reply] = await Promise.all([first.checkIn(TASK), second.checkIn(TASK)]);
  for (const client of [first, second]) {
    const update = { delta: new Float32Array(7).fill(1), numExamples: 1, metrics: {} };
    await client.report(await client.nextAssignment(), reply.task.layout, update);
  }
  expect(await running.roundEnded(roundNumber)).toMatchObject({ phase: "committed" });
}

async function refusalsOf(running: RunningCoordinator, limit: string): Promise<number> {
  const text = await (await fetch(`${running.url}/metrics`)).text();
  const series = `tributary_limit_refusals_total{limit="${limit}"} `;
  const line = text.split("\n").find((each) => each.startsWith(series));
  return line === undefined ? 0 : Number(line.slice(series.length));
}

test("[LIM4] one client has so many connections and no more; the others are not touched", async () => {
  await using running = await startCoordinator({ config: { limits: { connectionsPerClient: 3 } } });
  await running.coordinator.tasks.create(smallTask());
  const clientKey = newClientKey();
  const { admitted, refusals } = await flood(30, () => connectRaw(running.url, { clientKey }));
  expect(admitted).toHaveLength(3);
  expect(limitsOf(refusals)).toEqual(["connectionsPerClient"]);
  expect(refusals[0]).toMatchObject({ code: "RATE_LIMITED", retryAfterMs: 5000 });
  await completeRound(running, 1);
  expect(await refusalsOf(running, "connectionsPerClient")).toBe(27);
  await closeAll(admitted);
});

test("[LIM4] one address has so many connections, whatever client keys it makes up", async () => {
  const auth = { clientToken: "client-token-0123456789", adminToken: "admin-token-0123456789" };
  await using running = await startCoordinator({
    config: { auth, limits: { connectionsPerAddress: 20 }, server: { trustedProxy: true } },
  });
  await running.coordinator.tasks.create(smallTask());
  const from = (address: string) =>
    connectRaw(running.url, {
      token: auth.clientToken,
      headers: { "x-forwarded-for": address },
    });
  const { admitted, refusals } = await flood(60, () => from("203.0.113.7"));
  expect(admitted).toHaveLength(20);
  expect(limitsOf(refusals)).toEqual(["connectionsPerAddress"]);
  await completeRound(running, 1);
  await closeAll(admitted);
});

test("[LIM1] a flood of check-ins is told to wait, and rounds go on beside it", async () => {
  await using running = await startCoordinator({
    config: { limits: { checkInsPerSecondPerClient: 1 } },
  });
  await running.coordinator.tasks.create(smallTask());
  await using hostile = await connectRaw(running.url);
  const replies: Promise<unknown>[] = [];
  for (let i = 0; i < 900; i++) {
    const message = { protocolVersion: PROTOCOL_VERSION, taskId: "unknown" };
    replies.push(hostile.ask("checkin", message).catch((error: unknown) => error));
  }
  await completeRound(running, 1);
  const answers = await Promise.all(replies);
  const limited = answers.filter((each) => isFederatedError(each) && each.code === "RATE_LIMITED");
  expect(limited.length).toBeGreaterThan(800);
  expect(limited.every((each) => isFederatedError(each) && (each.retryAfterMs ?? 0) > 0)).toBe(
    true,
  );
  expect(await refusalsOf(running, "checkInsPerSecondPerClient")).toBeGreaterThan(0);
});

test("[LIM5] guessing tokens ends after a few, on sockets and on HTTP together", async () => {
  const auth = { clientToken: "client-token-0123456789", adminToken: "admin-token-0123456789" };
  await using running = await startCoordinator({
    config: {
      auth,
      limits: { failedAuthenticationsPerSecondPerAddress: 1 },
      server: { trustedProxy: true },
    },
  });
  const codes: unknown[] = [];
  for (let i = 0; i < 8; i++) {
    const guess = connectRaw(running.url, { token: `guess-${i}-0123456789` });
    codes.push(await guess.catch((error: unknown) => isFederatedError(error) && error.code));
  }
  const read = (token: string, address?: string) =>
    fetch(`${running.url}/v1/tasks`, {
      headers: {
        authorization: `Bearer ${token}`,
        ...(address === undefined ? {} : { "x-forwarded-for": address }),
      },
    });
  for (let i = 0; i < 8; i++) codes.push((await read(`guess-${i}-0123456789`)).status);
  expect(codes.slice(0, 10)).toEqual([...Array(8).fill("UNAUTHENTICATED"), 401, 401]);
  expect(codes.slice(12)).toEqual([429, 429, 429, 429]);
  // The right token of this address is not told apart from a guess; another address is not concerned.
  expect((await read(auth.adminToken)).status).toBe(429);
  const late = connectRaw(running.url, { token: auth.clientToken });
  await expect(late).rejects.toMatchObject({ code: "RATE_LIMITED" });
  expect((await read(auth.adminToken, "203.0.113.7")).status).toBe(200);
});

test("[LIM7] an upgraded connection that never says who it is is closed", async () => {
  await using running = await startCoordinator({ config: { limits: { handshakeTimeoutMs: 200 } } });
  const { port, hostname } = new URL(running.url);
  const socket = connect(Number(port), hostname);
  socket.write(
    `GET ${SOCKET_PATH}/?EIO=4&transport=websocket HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: upgrade\r\n` +
      "upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n",
  );
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  await once(socket, "close", { signal: AbortSignal.timeout(10_000) });
  expect(Buffer.concat(chunks).toString("latin1")).toMatch(/^HTTP\/1.1 101 /);
});

const inTime = <T>(promise: Promise<T>): Promise<T> =>
  Promise.race([
    promise,
    new Promise<never>((_, reject) => {
      setTimeout(() => reject(new Error("it did not happen in 20 s")), 20_000).unref();
    }),
  ]);

/** The TCP connection below a client's socket. */
function connectionOf({ socket }: RawClient): Socket {
  const { ws } = socket.io.engine.transport as unknown as { ws: { _socket: Socket } };
  return ws._socket;
}

test("[LIM13] a connection that goes on after ever so many refusals is cut", async () => {
  await using running = await startCoordinator({ config: { limits: { messagesPerSecond: 10 } } });
  await using hostile = await connectRaw(running.url);
  let heard = 0;
  const cut = new Promise((resolve) => hostile.socket.once("disconnect", resolve));
  for (let i = 0; i < 3000; i++) hostile.socket.emit("garbage", i, () => (heard += 1));
  await inTime(cut);
  expect(heard).toBeLessThanOrEqual(1100);
  expect(await refusalsOf(running, "messagesPerSecond")).toBeLessThanOrEqual(1100);
  await using again = await connectRaw(running.url);
  expect(again.socket.connected).toBe(true);
});

test("[LIM13] a connection that asks and never reads is cut before its answers pile up", async () => {
  await using running = await startCoordinator({
    config: { limits: { messagesPerSecond: 1_000_000 } },
  });
  await running.coordinator.tasks.create(smallTask());
  await using hostile = await connectRaw(running.url);
  const connection = connectionOf(hostile);
  connection.pause();
  // It ends in a reset, which is an error of this end's connection too.
  connection.on("error", () => {});
  const gone = new Promise((resolve) => connection.once("close", resolve));
  for (let asked = 0; !connection.destroyed && asked < 400_000; asked += 1000) {
    for (let i = 0; i < 1000; i++) {
      const message = { protocolVersion: PROTOCOL_VERSION, taskId: TASK };
      hostile.socket.emit("watch", message, () => {});
    }
    // The others have their rounds meanwhile.
    if (asked === 5000) await completeRound(running, 1);
    await new Promise((resolve) => setImmediate(resolve));
  }
  connection.resume();
  await inTime(gone);
  await completeRound(running, 2);
});

const frame = (opcode: number, payload: string): Buffer =>
  Buffer.concat([
    Buffer.from([0x80 | opcode, 0x80 | payload.length]),
    Buffer.alloc(4),
    Buffer.from(payload),
  ]);
const text = (payload: string) => frame(1, payload);

test.each([
  ["pings of a stranger", frame(9, "x".repeat(125)), false],
  ["pings that are answered and not read", frame(9, "x".repeat(125)), true],
  ["pongs that nobody asked for", frame(10, ""), true],
  ["packets of engine.io", text("6"), true],
  ["handshakes for what does not exist", text("40/nowhere,{}"), true],
] as const)(
  "[LIM13] a connection that floods below its messages is cut: %s",
  async (_, flood, admitted) => {
    await using running = await startCoordinator({ config: { limits: { messagesPerSecond: 20 } } });
    await running.coordinator.tasks.create(smallTask());
    const { port, hostname } = new URL(running.url);
    const socket = connect(Number(port), hostname).on("error", () => {});
    socket.write(
      `GET ${SOCKET_PATH}/?EIO=4&transport=websocket HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: upgrade\r\n` +
        "upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n",
    );
    await once(socket, "data");
    if (admitted) {
      socket.write(text(`40${JSON.stringify({ clientKey: newClientKey() })}`));
      await until(socket, "40{");
    }
    socket.pause();
    // Far more than the system takes for a connection that is not read.
    const many = Buffer.concat(Array<Buffer>(5000).fill(flood));
    for (let sent = 0; !socket.destroyed && sent < 64_000_000; sent += many.length) {
      if (socket.write(many)) continue;
      await inTime(new Promise((goOn) => void socket.once("drain", goOn).once("close", goOn)));
    }
    expect(socket.destroyed).toBe(true);
    await completeRound(running, 1);
  },
);

/** Waits for a text among what the connection sends. */
async function until(socket: Socket, wanted: string): Promise<void> {
  for await (const [chunk] of on(socket, "data", { signal: AbortSignal.timeout(10_000) })) {
    if (String(chunk).includes(wanted)) return;
  }
}

test("[LIM8] participants that send their updates a byte at a time cost the honest ones no round", async () => {
  await using running = await startCoordinator({
    config: {
      limits: { concurrentUploads: 2, minUploadBytesPerSecond: 1000, slowPeerGraceMs: 300 },
    },
  });
  const schedule = { minClients: 6, minReports: 2, reportWindowMs: 20_000 };
  await running.coordinator.tasks.create(smallTask({ schedule }));
  const clients = await Promise.all(Array.from({ length: 6 }, () => connectRaw(running.url)));
  const [reply] = await Promise.all(clients.map((client) => client.checkIn(TASK)));
  const assignments = await Promise.all(clients.map((client) => client.nextAssignment()));
  const { port, hostname } = new URL(running.url);
  // Four hold both turns and the front of the queue, and send heads that never end beside.
  const slow = assignments.slice(2).flatMap(({ update }) => {
    const heads = [
      `PUT ${update.url} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer ${update.token}\r\ncontent-length: 92\r\n\r\n`,
      "GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n",
    ];
    return heads.map((head) => {
      const socket = connect(Number(port), hostname);
      socket.on("error", () => {}).write(head);
      return socket;
    });
  });
  const dripping = setInterval(() => slow.forEach((socket) => socket.write("x")), 50);
  try {
    await expect.poll(() => refusalsOf(running, "minUploadBytesPerSecond")).toBeGreaterThan(0);
    const update = { delta: new Float32Array(7).fill(1), numExamples: 1, metrics: {} };
    for (const i of [0, 1]) {
      await clients[i]!.report(assignments[i]!, reply!.task.layout, update);
    }
    for (const client of clients.slice(2)) await client.ask("leave", { taskId: TASK });
    const round = await running.roundEnded(1);
    expect(round).toMatchObject({ phase: "committed", participants: { reported: 2 } });
  } finally {
    clearInterval(dripping);
    for (const socket of slow) socket.destroy();
    await closeAll(clients);
  }
});

test("[LIM14] streams whose answers stood in a line give back their places when their connection closes", async () => {
  await using running = await startCoordinator({ config: { limits: { sseStreams: 3 } } });
  const { url } = running;
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  // Without waiting for the answers: only the first one has the connection.
  socket.write("GET /v1/events HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".repeat(3));
  await once(socket, "data");
  // Another request is answered after these have been served.
  expect((await fetch(`${url}/livez`)).status).toBe(200);
  socket.destroy();
  await once(socket, "close");
  for (;;) {
    const leaving = new AbortController();
    const { signal } = leaving;
    const streams = await Promise.all([1, 2, 3].map(() => fetch(`${url}/v1/events`, { signal })));
    leaving.abort();
    if (streams.every(({ status }) => status === 200)) return;
  }
});
