/**
 * The coordinator's end of the wire, real sockets and HTTP, with no rounds of its own: the test says
 * every word. What an honest coordinator never does can be said too.
 */

import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

import type {
  Ack,
  Assignment,
  CheckInReply,
  CheckpointRef,
  ClientId,
  KeyRecord,
  Layout,
  SignedManifest,
  SigningKey,
  TaskBrief,
  TaskId,
} from "@tributary/protocol";
import {
  createLayout,
  encodeCheckpoint,
  FederatedError,
  maxFrameBytes,
  roundIdOf,
  routes,
  sha256,
  SOCKET_PATH,
} from "@tributary/protocol";
import type { Socket } from "socket.io";
import { Server } from "socket.io";

import { signFor, testKey } from "./signing.ts";

export interface ReceivedPut {
  readonly path: string;
  readonly token: string | undefined;
  readonly body: Uint8Array;
}

export interface HttpAnswer {
  readonly status: number;
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
  /** Breaks the connection instead of answering. */
  readonly hangUp?: boolean;
}

export interface FakeCoordinator extends AsyncDisposable {
  readonly url: string;
  readonly layout: Layout;
  /** Every socket message and HTTP request, in order: "checkin", "decline", "PUT", "GET", … */
  readonly log: string[];
  readonly puts: ReceivedPut[];
  /** Why handshakes are refused now. */
  refuseHandshake: FederatedError | undefined;
  /** The name that check-ins are answered with. */
  clientId: ClientId;
  /** The place that check-ins are answered with. */
  place: Assignment | undefined;
  /** Check-ins are not answered. */
  silent: boolean;
  /** What the next check-ins are answered with, one after the other, instead of a proper answer. */
  nonsense: unknown[];
  /** The error that check-ins are answered with. */
  refuseCheckIn: FederatedError | undefined;
  answerPut: (put: ReceivedPut, attempt: number) => HttpAnswer | Promise<HttpAnswer>;
  /** Signs what is stored from now on. */
  key: SigningKey;
  /** What `/v1/keys` answers. */
  keys: KeyRecord[];
  /** Changes what is sent of a checkpoint. */
  corrupt: ((frame: Uint8Array) => Uint8Array) | undefined;
  /** A genuine manifest by `key` for whatever version, of this task or another. */
  sign(
    version: Pick<CheckpointRef, "modelVersion" | "digest" | "bytes">,
    taskId?: TaskId,
  ): Promise<SignedManifest>;
  /** Makes a version the newest, without a word. */
  store(modelVersion: number, weights: Float32Array): Promise<CheckpointRef>;
  /** The same, and tells everybody. */
  publish(modelVersion: number, weights: Float32Array): Promise<CheckpointRef>;
  assignment(roundNumber: number, overrides?: Partial<Assignment>): Assignment;
  emit(event: string, message: unknown): void;
  /** Resolves once `count` entries of the log are `entry`. */
  until(entry: string, count?: number, timeoutMs?: number): Promise<void>;
  count(entry: string): number;
  /** Breaks every connection; clients may come back at once. */
  drop(): void;
  /** Sends every client away, upon which socket.io does not connect again by itself. */
  dismiss(): void;
  stop(): Promise<void>;
  /** Listens again on the same port. */
  start(): Promise<void>;
}

export const TASK = "fake" as TaskId;

export async function startFakeCoordinator(): Promise<FakeCoordinator> {
  const layout = await createLayout([
    { name: "kernel", shape: [2, 2] },
    { name: "bias", shape: [2] },
  ]);
  const frames = new Map<string, Uint8Array>();
  const watchers = new Set<() => void>();
  let newest: CheckpointRef;
  let port = 0;
  let server = createServer();
  let io = new Server();

  const note = (entry: string) => {
    fake.log.push(entry);
    for (const watcher of [...watchers]) watcher();
  };

  const brief = (): TaskBrief => ({ taskId: TASK, layout, checkpoint: newest, paused: false });

  function serve(socket: Socket): void {
    const refused = (error: FederatedError): Ack<never> => ({
      ok: false,
      error: error.toPayload(),
    });
    socket.on("checkin", (_: unknown, ack: (reply: Ack<CheckInReply>) => void) => {
      note("checkin");
      if (fake.silent) return;
      if (fake.nonsense.length > 0) {
        ack(fake.nonsense.shift() as Ack<CheckInReply>);
        return;
      }
      if (fake.refuseCheckIn !== undefined) {
        ack(refused(fake.refuseCheckIn));
        return;
      }
      const value: CheckInReply = { clientId: fake.clientId, task: brief() };
      ack({
        ok: true,
        value: fake.place === undefined ? value : { ...value, assignment: fake.place },
      });
    });
    for (const event of ["decline", "leave"]) {
      socket.on(event, (_: unknown, ack: (reply: Ack<null>) => void) => {
        note(event);
        ack({ ok: true, value: null });
      });
    }
    socket.on("watch", (_: unknown, ack: (reply: Ack<TaskBrief>) => void) => {
      note("watch");
      ack(
        fake.refuseCheckIn === undefined
          ? { ok: true, value: brief() }
          : refused(fake.refuseCheckIn),
      );
    });
    socket.on("disconnect", () => note("disconnect"));
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? "";
    if (request.method === "GET" && path === routes.keys.path()) {
      note("keys");
      response.writeHead(200).end(JSON.stringify({ keys: fake.keys }));
      return;
    }
    if (request.method === "GET") {
      note("GET");
      const frame = frames.get(path.split("/").at(-1) ?? "");
      if (frame === undefined) {
        const problem = new FederatedError("MODEL_NOT_FOUND", "no such checkpoint").toProblem();
        response.writeHead(404, { "content-type": "application/problem+json" });
        response.end(JSON.stringify(problem));
        return;
      }
      response.writeHead(200).end(fake.corrupt?.(frame) ?? frame);
      return;
    }
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const token = request.headers.authorization?.replace(/^Bearer /, "");
    const put = { path, token, body: new Uint8Array(Buffer.concat(chunks)) };
    fake.puts.push(put);
    note("PUT");
    const { status, body, headers, hangUp } = await fake.answerPut(put, fake.puts.length);
    if (hangUp === true) {
      request.socket.destroy();
      return;
    }
    response.writeHead(status, headers).end(body === undefined ? "" : JSON.stringify(body));
  }

  const fake: FakeCoordinator = {
    get url() {
      return `http://127.0.0.1:${port}`;
    },
    layout,
    log: [],
    puts: [],
    refuseHandshake: undefined,
    clientId: "client" as ClientId,
    place: undefined,
    silent: false,
    nonsense: [],
    refuseCheckIn: undefined,
    answerPut: ({ path }) => ({
      status: 200,
      body: { roundId: path.split("/")[3], status: "accepted", duplicate: false },
    }),
    key: await testKey(1),
    keys: [],
    corrupt: undefined,
    sign: ({ modelVersion, digest, bytes }, taskId = TASK) =>
      signFor(fake.key, { modelVersion, digest, bytes, taskId, layoutDigest: layout.digest }),
    store: async (modelVersion, weights) => {
      const frame = encodeCheckpoint(layout, { modelVersion, weights });
      const digest = await sha256(frame);
      frames.set(digest, frame);
      const subject = { modelVersion, digest, bytes: frame.length };
      newest = {
        ...subject,
        url: routes.checkpointByDigest.path({ digest }),
        signed: await fake.sign(subject),
      };
      return newest;
    },
    publish: async (modelVersion, weights) => {
      const checkpoint = await fake.store(modelVersion, weights);
      fake.emit("model:published", { taskId: TASK, checkpoint });
      return checkpoint;
    },
    assignment: (roundNumber, overrides) => {
      const roundId = roundIdOf(TASK, roundNumber);
      return {
        taskId: TASK,
        roundId,
        roundNumber,
        plan: {
          epochs: 1,
          batchSize: 1,
          learningRate: 0.1,
          optimizer: { kind: "sgd" },
          proximalMu: 0,
          evaluate: false,
          encoding: { kind: "float32" },
          compression: "none",
        },
        checkpoint: newest,
        update: {
          url: routes.update.path({ roundId }),
          token: `token-of-round-${roundNumber}`,
          maxBytes: maxFrameBytes(layout),
        },
        deadlineAt: new Date(Date.now() + 60_000).toISOString(),
        timeLeftMs: 60_000,
        reported: false,
        ...overrides,
      };
    },
    emit: (event, message) => void io.emit(event, message),
    count: (entry) => fake.log.filter((one) => one === entry).length,
    until: (entry, count = 1, timeoutMs = 10_000) =>
      new Promise<void>((resolve, reject) => {
        const look = () => {
          if (fake.count(entry) < count) return;
          watchers.delete(look);
          clearTimeout(timer);
          resolve();
        };
        const timer = setTimeout(() => {
          watchers.delete(look);
          const got = `${fake.count(entry)} of ${count}`;
          reject(new Error(`${got} "${entry}" in ${timeoutMs} ms: ${fake.log.join(" ")}`));
        }, timeoutMs);
        watchers.add(look);
        look();
      }),
    drop: () => {
      for (const socket of io.of("/").sockets.values()) socket.conn.close();
    },
    dismiss: () => {
      io.disconnectSockets(true);
    },
    stop: async () => {
      const closed = io.close();
      // An upload that a client called off would keep the server open for seconds.
      server.closeAllConnections();
      await closed;
    },
    start: async () => {
      server = createServer((request, response) => {
        void answer(request, response).catch(() => response.destroy());
      });
      io = new Server(server, { path: SOCKET_PATH, transports: ["websocket"], serveClient: false });
      io.use((_, next) => {
        note("handshake");
        const refusal = fake.refuseHandshake;
        next(refusal && Object.assign(new Error(refusal.code), { data: refusal.toPayload() }));
      });
      io.on("connection", serve);
      await new Promise<void>((resolve) => {
        server.listen(port, "127.0.0.1", resolve);
      });
      port = (server.address() as AddressInfo).port;
    },
    [Symbol.asyncDispose]: () => fake.stop(),
  };
  await fake.store(0, new Float32Array(layout.parameterCount));
  await fake.start();
  return fake;
}
