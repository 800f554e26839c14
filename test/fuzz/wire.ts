/** Fuzzing of the whole wire: damaged HTTP requests and WebSocket frames on real connections to a real process. */

import { connect } from "node:net";

import type { Assignment, Layout } from "@tributary/protocol";
import { decodeUpdate, encodeUpdate, l2Norm, routes } from "@tributary/protocol";
import fc from "fast-check";

import { newClientKey } from "../support/raw-client.ts";
import { handshake } from "../support/raw-http.ts";
import { damagedBytes } from "./damage.ts";

export interface WireOptions {
  readonly url: string;
  readonly cases: number;
  readonly seed: number;
  /** A genuine place, so that damaged updates come as far as they can. */
  readonly place: Assignment;
  readonly layout: Layout;
}

export interface WireReport {
  readonly cases: number;
  /** How often each was the first status of an answer; `closed` for none. */
  readonly answers: Readonly<Record<string, number>>;
  /** Requests that were answered with 500, or an update that should not have been taken. */
  readonly faults: readonly string[];
}

/** Connections at a time: enough to keep the other side busy. */
const CONCURRENT = 16;
const FRAMES_PER_SOCKET = 10;
/** An answer comes in milliseconds; a request that waits for more bytes is given up by us. */
const PATIENCE_MS = 300;

export async function fuzzWire(options: WireOptions): Promise<WireReport> {
  const { url, cases, seed } = options;
  const answers: Record<string, number> = {};
  const faults: string[] = [];
  const requests = fc.sample(damagedBytes(soundRequests(options)), {
    seed,
    numRuns: Math.ceil(cases / 2),
  });
  const frames = fc.sample(damagedBytes(soundFrames(options)), {
    seed: seed + 1,
    numRuns: Math.ceil(cases / 2),
  });
  const jobs: (() => Promise<void>)[] = requests.map((bytes) => async () => {
    const answer = await talk(url, bytes);
    const status = /^HTTP\/1\.1 (\d+)/.exec(answer)?.[1] ?? "closed";
    answers[status] = (answers[status] ?? 0) + 1;
    const shown = () => `${Buffer.from(bytes).toString("latin1").slice(0, 300)} -> ${answer}`;
    if (status === "500") faults.push(shown());
    const accepted = answer.includes('"accepted"');
    if (accepted) answers.accepted = (answers.accepted ?? 0) + 1;
    if (accepted && !isSound(bytes, options.layout)) faults.push(shown());
  });
  for (let at = 0; at < frames.length; at += FRAMES_PER_SOCKET) {
    const some = frames.slice(at, at + FRAMES_PER_SOCKET);
    jobs.push(async () => {
      const opening = Buffer.from(handshake(url));
      const auth = textFrame(`40${JSON.stringify({ clientKey: newClientKey() })}`);
      await talk(url, Buffer.concat([opening, auth, ...some]));
    });
  }
  let next = 0;
  const work = async () => {
    for (let job = jobs[next++]; job !== undefined; job = jobs[next++]) await job();
  };
  await Promise.all(Array.from({ length: CONCURRENT }, work));
  return { cases: requests.length + frames.length, answers, faults };
}

/** Is there a frame in the request that may be counted? Read once more, from what was sent. */
function isSound(request: Uint8Array, layout: Layout): boolean {
  const bytes = Buffer.from(request);
  const at = bytes.indexOf("TRUP");
  try {
    const metricsBytes = bytes.readUInt32LE(at + 48);
    const end = at + 64 + metricsBytes + 4 * layout.parameterCount;
    const { delta, numExamples } = decodeUpdate(layout, new Uint8Array(bytes.subarray(at, end)));
    return Number.isFinite(l2Norm(delta)) && numExamples > 0;
  } catch {
    return false;
  }
}

/** Sends the bytes on a connection of their own; what came back, until the other end or our patience ended it. */
function talk(url: string, bytes: Uint8Array): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname);
    let answer = "";
    const timer = setTimeout(() => socket.destroy(), PATIENCE_MS);
    socket.on("data", (chunk: Buffer) => {
      answer += chunk.toString("latin1", 0, 2_000);
      // The answer is whole, or enough of it: a request may leave its connection open.
      if (answer.startsWith("HTTP/1.1 ") && !answer.startsWith("HTTP/1.1 101")) socket.end();
    });
    socket.on("error", () => undefined);
    socket.on("close", () => {
      clearTimeout(timer);
      resolve(answer);
    });
    socket.write(bytes);
  });
}

function soundRequests({ url, place, layout }: WireOptions): Uint8Array[] {
  const { host } = new URL(url);
  const { taskId } = place;
  const ask = (
    line: string,
    headers: readonly string[] = [],
    body: Uint8Array = new Uint8Array(),
  ) =>
    Buffer.concat([
      Buffer.from([`${line} HTTP/1.1`, `Host: ${host}`, ...headers, "", ""].join("\r\n")),
      body,
    ]);
  const frame = encodeUpdate(layout, {
    delta: new Float32Array(layout.parameterCount).fill(1),
    numExamples: 1,
    metrics: { trainLoss: 0.5 },
  });
  const put = ask(
    `PUT ${place.update.url}`,
    [`Authorization: Bearer ${place.update.token}`, `Content-Length: ${frame.length}`],
    frame,
  );
  const chunked = ask(
    `PUT ${place.update.url}`,
    [`Authorization: Bearer ${place.update.token}`, "Transfer-Encoding: chunked"],
    Buffer.concat([
      Buffer.from(`${frame.length.toString(16)}\r\n`),
      frame,
      Buffer.from("\r\n0\r\n\r\n"),
    ]),
  );
  const json = Buffer.from(JSON.stringify({ taskId: "other", model: { tensors: [] } }));
  const typed = ["Content-Type: application/json", `Content-Length: ${json.length}`];
  const modelVersion = "latest";
  return [
    ...[put, put, put, chunked],
    ask(`GET ${routes.tasks.path()}?limit=5`),
    ask(`GET ${routes.rounds.path({ taskId })}?limit=5&before=9`, ["Accept: application/json"]),
    ask(`GET ${routes.checkpoint.path({ taskId, modelVersion })}`, [
      "Range: bytes=0-9",
      'If-Range: "x"',
    ]),
    ask(`HEAD ${place.checkpoint.url}`, ['If-None-Match: W/"x", *']),
    ask(`GET ${routes.events.path()}?lastEventId=0`, ["Last-Event-ID: 1"]),
    ask(`POST ${routes.tasks.path()}`, ["Authorization: Bearer wrong", ...typed], json),
    ask(`OPTIONS ${routes.tasks.path()}`, ["Origin: https://evil.example"]),
    ask("GET /v1/socket/?EIO=4&transport=polling"),
    Buffer.from(handshake(url)),
  ];
}

/** A frame of RFC 6455 as a client sends it: final, masked with zeros, so that damage meets the payload. */
function clientFrame(opcode: number, payload: Uint8Array): Buffer {
  const length =
    payload.length < 126
      ? [0x80 | payload.length]
      : [0x80 | 126, payload.length >> 8, payload.length & 0xff];
  return Buffer.concat([Buffer.from([0x80 | opcode, ...length, 0, 0, 0, 0]), payload]);
}
const textFrame = (text: string) => clientFrame(1, Buffer.from(text));

function soundFrames({ place }: WireOptions): Uint8Array[] {
  const { taskId, roundId } = place;
  const event = (...parts: unknown[]) => JSON.stringify(parts);
  return [
    textFrame(`420${event("checkin", { protocolVersion: 1, taskId })}`),
    textFrame(`421${event("watch", { protocolVersion: 1, taskId })}`),
    textFrame(`422${event("decline", { roundId })}`),
    textFrame(`423${event("leave", { taskId })}`),
    textFrame(`451-4${event("checkin", { _placeholder: true, num: 0 })}`),
    textFrame('431[{"ok":true}]'),
    textFrame(`40${JSON.stringify({ clientKey: newClientKey() })}`),
    ...["3", "2probe", "41", "5", "40/admin,"].map(textFrame),
    clientFrame(2, new Uint8Array(40)),
    clientFrame(8, Buffer.from([3, 232])),
    clientFrame(9, Buffer.from("ping")),
    clientFrame(0, Buffer.from("a piece of nothing")),
  ];
}
