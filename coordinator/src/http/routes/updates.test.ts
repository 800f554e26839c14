import { createHash } from "node:crypto";
import type { ClientRequest, IncomingMessage } from "node:http";
import { request as httpRequest } from "node:http";
import type { AddressInfo } from "node:net";
import { brotliCompressSync, constants } from "node:zlib";

import {
  checksumOf,
  contentDigestOf,
  createLayout,
  encodeUpdate,
  FederatedError,
  routes,
} from "@tributary/protocol";
import type { FastifyInstance } from "fastify";
import { afterEach, describe, expect, it } from "vitest";

import { denseDelta } from "../../aggregation/encoded-delta.ts";
import type { FakeHeart, FakeOptions } from "../app.fixture.ts";
import { ASSIGNMENT, createFakeHeart, ROUND } from "../app.fixture.ts";
import { createHttpApp } from "../app.ts";

let app: FastifyInstance;
let heart: FakeHeart;
let port: number;
let frame: Uint8Array;
async function start(options: FakeOptions = {}) {
  heart = await createFakeHeart(options);
  app = await createHttpApp(heart.deps);
  await app.listen({ host: "127.0.0.1", port: 0 });
  port = (app.server.address() as AddressInfo).port;
  const delta = new Float32Array(heart.layout.parameterCount).map((_, i) => i / 3);
  frame = encodeUpdate(heart.layout, { delta, numExamples: 4, metrics: { trainLoss: 1 } });
}
afterEach(() => app.close());

interface Answer {
  status: number;
  body: { code?: string } & Record<string, unknown>;
  headers: IncomingMessage["headers"];
}
interface Upload {
  readonly request: ClientRequest;
  readonly answer: Promise<Answer>;
}

/** Opens a PUT and leaves the body to the test. */
function open(headers: Record<string, string | number> = {}): Upload {
  const request = httpRequest({
    port,
    host: "127.0.0.1",
    method: "PUT",
    path: routes.update.path({ roundId: ROUND }),
    headers: { authorization: `Bearer ${ASSIGNMENT}`, ...headers },
  });
  const answer = new Promise<Answer>((resolve, reject) => {
    request.on("response", (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const body = JSON.parse(Buffer.concat(chunks).toString()) as Answer["body"];
        resolve({ status: response.statusCode!, body, headers: response.headers });
      });
    });
    request.on("error", reject);
  });
  answer.catch(() => {}); // a test that aborts does not wait for it
  request.flushHeaders();
  return { request, answer };
}

function put(body: Uint8Array, headers: Record<string, string | number> = {}): Promise<Answer> {
  const { request, answer } = open({ "content-length": body.length, ...headers });
  request.end(body);
  return answer;
}

/** Headers of another participant. */
const as = (n: number) => ({ authorization: `Bearer ${ASSIGNMENT}-${n}` });

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 5000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error("the condition did not come true");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe("an update under Content-Encoding", () => {
  const br = { "content-encoding": "br" };
  const digestOf = (body: Uint8Array) => ({
    "content-digest": `sha-256=:${createHash("sha256").update(body).digest("base64")}:`,
  });

  it("[EC11] reaches the heart as it was before it was packed", async () => {
    await start();
    const packed = brotliCompressSync(frame);
    expect((await put(packed, { ...br, ...digestOf(packed) })).status).toBe(200);
    const { request, answer } = open({ "transfer-encoding": "chunked", ...br });
    for (let i = 0; i < packed.length; i += 7) request.write(packed.subarray(i, i + 7));
    request.end();
    expect((await answer).status).toBe(200);
    expect((await put(frame, { "content-encoding": "identity" })).status).toBe(200);
    expect(heart.reported.map(({ checksum }) => checksum)).toEqual(
      Array(3).fill(checksumOf(frame)),
    );
    expect(heart.counted.received).toBe(2 * packed.length + frame.length);
  });

  it("[EC11] of any other kind, damaged, cut short, with more behind it or not packed at all is refused", async () => {
    await start();
    const packed = brotliCompressSync(frame);
    for (const coding of ["gzip", "zstd", "br, br", "x"]) {
      expect(await put(packed, { "content-encoding": coding })).toMatchObject({
        ...{ status: 415, body: { code: "MEDIA_TYPE_UNSUPPORTED" } },
      });
    }
    const damaged = Uint8Array.from(packed);
    damaged[20]! ^= 1;
    expect(await put(damaged, { ...br, ...digestOf(packed) })).toMatchObject({
      ...{ status: 400, body: { code: "UPDATE_CORRUPT", retryable: true } },
    });
    const longer = Uint8Array.from([...packed, 0]);
    for (const body of [packed.subarray(0, -3), longer, frame, new Uint8Array(0)]) {
      expect(await put(body, br)).toMatchObject({
        ...{ status: 400, body: { code: "MALFORMED_MESSAGE" } },
      });
    }
    expect(heart.reported).toEqual([]);
  });

  it("[EC11] that unpacks to more than an update may have is refused before it is unpacked", async () => {
    await start();
    const pack = (...parts: Uint8Array[]) =>
      brotliCompressSync(Buffer.concat(parts), { params: { [constants.BROTLI_PARAM_QUALITY]: 5 } });
    const zeros = Buffer.alloc(100 * 2 ** 20);
    const bombs = [
      [pack(frame, zeros), 413, "UPDATE_TOO_LARGE"],
      [pack(zeros), 400, "MALFORMED_MESSAGE"],
    ] as const;
    const before = process.memoryUsage().arrayBuffers;
    for (const [bomb, status, code] of bombs) {
      expect(bomb.length).toBeLessThan(2000);
      expect(await put(bomb, br)).toMatchObject({ status, body: { code } });
      const { request, answer } = open({ ...br, "transfer-encoding": "chunked" });
      request.end(bomb);
      expect(await answer).toMatchObject({ status, body: { code } });
    }
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(20 * 2 ** 20);
    expect(heart.reported).toEqual([]);
  });

  it("[EC13] counts for all that it may hold: what is packed, the update, and what unpacking looks back at", async () => {
    await start();
    const packed = brotliCompressSync(frame);
    const largest = frame.length + 65_536;
    const begin = async (body: Uint8Array, headers: Record<string, string>) => {
      const before = heart.counted.received;
      const upload = open({ "content-length": body.length, ...headers });
      upload.request.write(body.subarray(0, 10));
      await until(() => heart.counted.received > before);
      return { ...upload, end: () => upload.request.end(body.subarray(10)) };
    };
    for (const [body, headers, status] of [
      [frame, {}, 200],
      [packed, br, 429],
    ] as const) {
      await app.close();
      // Room for two of the largest that may come.
      await start({ limits: { uploadMemoryBytes: 2 * largest, queuedUploads: 0 } });
      const first = await begin(body, headers);
      expect((await put(body, { ...headers, ...as(2) })).status).toBe(status);
      first.end();
      expect((await first.answer).status).toBe(200);
      expect((await put(body, { ...headers, ...as(2) })).status).toBe(200);
    }
  });
});

describe("an update that is sound", () => {
  it("[API18] reaches the heart as it was sent, once, with the checksum of its frame", async () => {
    await start();
    const answer = await put(frame);
    expect(answer).toMatchObject({
      status: 200,
      body: { roundId: ROUND, status: "accepted", duplicate: false },
    });
    expect(heart.reported).toEqual([
      {
        delta: denseDelta(new Float32Array([0, 1, 2, 3, 4, 5].map((i) => i / 3))),
        numExamples: 4,
        metrics: { trainLoss: 1 },
        bytes: frame.length,
        checksum: checksumOf(frame),
      },
    ]);
    expect(heart.calls).toEqual([["admit", ROUND, ASSIGNMENT]]);
    expect(heart.counted).toMatchObject({ accepted: 1, received: frame.length, rejected: [] });
    expect(heart.refused).toEqual([]);
  });

  it("[API18] may come in chunks of unannounced length, and under any type", async () => {
    await start();
    const { request, answer } = open({ "transfer-encoding": "chunked" });
    for (let i = 0; i < frame.length; i += 7) request.write(frame.subarray(i, i + 7));
    request.end();
    expect((await answer).status).toBe(200);
    for (const type of [
      "application/json",
      "text/plain",
      "application/octet-stream",
      "image/png",
    ]) {
      expect((await put(frame, { "content-type": type })).status, type).toBe(200);
    }
    expect(heart.reported).toHaveLength(5);
    expect(new Set(heart.reported.map(({ checksum }) => checksum)).size).toBe(1);
  });

  it("[API18] gets the heart's own refusal, which the heart has noted itself", async () => {
    await start();
    heart.onReport = () => Promise.reject(new FederatedError("ROUND_CLOSED", "too late"));
    expect(await put(frame)).toMatchObject({ status: 409, body: { code: "ROUND_CLOSED" } });
    expect(heart.refused).toEqual([]);
    expect(heart.counted).toMatchObject({ accepted: 0, rejected: ["digits ROUND_CLOSED"] });
  });
});

describe("an update that carries its digest", () => {
  const sha256 = (bytes: Uint8Array) =>
    `sha-256=:${createHash("sha256").update(bytes).digest("base64")}:`;
  const checksum = (bytes: Uint8Array) => contentDigestOf({ checksum: checksumOf(bytes) });
  const kinds = { sha256, checksum, both: (b: Uint8Array) => `${checksum(b)}, ${sha256(b)}` };
  let headerOf = (bytes: Uint8Array) => ({ "content-digest": sha256(bytes) });
  const use = (kind: keyof typeof kinds) => {
    headerOf = (bytes) => ({ "content-digest": kinds[kind](bytes) });
  };
  const everyKind = ["sha256", "checksum", "both"] as const;

  it.each(everyKind)("[AT1] counts when it is what was sent, by %s", async (kind) => {
    use(kind);
    await start();
    expect((await put(frame, headerOf(frame))).status).toBe(200);
    expect(heart.reported).toHaveLength(1);
  });

  it("[AT1] is UPDATE_CORRUPT when only one of two is not its own", async () => {
    await start();
    const other = frame.map((byte) => byte ^ 1);
    for (const header of [
      `${checksum(frame)}, ${sha256(other)}`,
      `${checksum(other)}, ${sha256(frame)}`,
    ]) {
      expect(await put(frame, { "content-digest": header })).toMatchObject({
        body: { code: "UPDATE_CORRUPT" },
      });
    }
    expect(heart.reported).toEqual([]);
  });

  it.each(everyKind)(
    "[AT1] is UPDATE_CORRUPT and costs no place when any bit of it has changed on its way, by %s",
    async (kind) => {
      use(kind);
      await start();
      for (let bit = 0; bit < 8 * frame.length; bit += 5) {
        const damaged = frame.slice();
        damaged[bit >> 3]! ^= 1 << (bit & 7);
        expect(await put(damaged, headerOf(frame)), `bit ${bit}`).toMatchObject({
          status: 400,
          body: { code: "UPDATE_CORRUPT", retryable: true },
        });
      }
      expect(heart.reported).toEqual([]);
      expect(heart.refused).toEqual([]);
    },
  );

  it.each(everyKind)(
    "[AT1] keeps its own fault where it arrived as it was sent, by %s",
    async (kind) => {
      use(kind);
      await start();
      const wrong = frame.slice();
      wrong[0]! ^= 1;
      expect(await put(wrong, headerOf(wrong))).toMatchObject({
        body: { code: "MALFORMED_MESSAGE", message: "not a update frame" },
      });
      expect(heart.refused).toHaveLength(1);
      for (const senseless of ["sha-256=:none:", "tributary-128=:none:"]) {
        const answer = await put(frame, { "content-digest": senseless });
        expect(answer).toMatchObject({ body: { code: "MALFORMED_MESSAGE" } });
      }
    },
  );
});

describe("an update that is not", () => {
  it("[API19] without a good token is refused before a byte of it is read", async () => {
    await start();
    const { request, answer } = open({ authorization: "Bearer wrong", "content-length": 1e6 });
    expect(await answer).toMatchObject({ status: 401, body: { code: "UNAUTHENTICATED" } });
    expect(heart.counted).toMatchObject({ received: 0, rejected: ["none UNAUTHENTICATED"] });
    request.destroy();
  });

  it("[API19] of a foreign layout is refused after its header, before its payload", async () => {
    await start({ parameterCount: 100_000 });
    const foreign = await createLayout([{ name: "v", shape: [100_000] }]);
    const delta = new Float32Array(100_000);
    const wrong = encodeUpdate(foreign, { delta, numExamples: 1, metrics: {} });
    const { request, answer } = open({ "content-length": wrong.length });
    request.write(wrong.subarray(0, 64));
    expect(await answer).toMatchObject({ status: 422, body: { code: "UPDATE_LAYOUT_MISMATCH" } });
    expect(heart.counted.received).toBe(64);
    expect(heart.refused).toEqual(["UPDATE_LAYOUT_MISMATCH"]);
    request.destroy();
  });

  it("[API19] announced as too large is refused at once", async () => {
    await start();
    const { request, answer } = open({ "content-length": 1e9 });
    expect(await answer).toMatchObject({ status: 413, body: { code: "UPDATE_TOO_LARGE" } });
    expect(heart.counted.received).toBe(0);
    request.destroy();
  });

  it("[API19] above the operator's own limit is refused", async () => {
    await start({ limits: { maxUpdateBytes: 100 } });
    expect(await put(frame)).toMatchObject({ status: 413, body: { code: "UPDATE_TOO_LARGE" } });
  });

  it("[API19] too large without saying so is cut off, and its sender can read why", async () => {
    await start({ parameterCount: 200_000 });
    // A sender in full flow: the answer must not be lost with the connection.
    const body = Buffer.concat([frame, Buffer.alloc(3_000_000)]);
    const { request, answer } = open({ "transfer-encoding": "chunked" });
    request.end(body);
    expect(await answer).toMatchObject({ status: 413, body: { code: "UPDATE_TOO_LARGE" } });
    const whole = await put(Buffer.alloc(3_000_000));
    expect(whole).toMatchObject({ status: 413, body: { code: "UPDATE_TOO_LARGE" } });
    expect((await put(frame)).status).toBe(200);
  });

  it("[API19] that is no frame, or not a whole one, is malformed", async () => {
    await start();
    const bodies = [new Uint8Array(0), frame.subarray(0, 63), frame.subarray(0, -4)];
    for (const body of [...bodies, Buffer.from("x".repeat(100)), Buffer.concat([frame, frame])]) {
      expect(await put(body)).toMatchObject({ status: 400, body: { code: "MALFORMED_MESSAGE" } });
    }
    expect(heart.reported).toEqual([]);
    expect(heart.refused).toEqual(Array(5).fill("MALFORMED_MESSAGE"));
  });

  it("[API19] answered with an unforeseen fault shows nothing of it", async () => {
    await start();
    heart.onReport = () => Promise.reject(new Error("secret"));
    const answer = await put(frame);
    expect(answer).toMatchObject({ status: 500, body: { code: "INTERNAL" } });
    expect(JSON.stringify(answer.body)).not.toContain("secret");
    expect(heart.logged).toMatchObject([{ level: "error" }]);
  });
});

describe("many senders", () => {
  const oneTurn = { concurrentUploads: 1, queuedUploads: 1 };
  /** Begins an upload and waits until the coordinator reads it. */
  async function begin(): Promise<Upload> {
    const before = heart.counted.received;
    const upload = open({ "content-length": frame.length });
    upload.request.write(frame.subarray(0, 70));
    await until(() => heart.counted.received > before);
    return upload;
  }

  it("[API20] wait for their turn; beyond the queue they are told when to come again", async () => {
    await start({ limits: oneTurn });
    const first = await begin();
    const second = put(frame, as(2));
    await until(() => heart.calls.length === 2);
    const third = await put(frame, as(3));
    expect(third).toMatchObject({ status: 429, body: { code: "RATE_LIMITED", retryable: true } });
    expect(third.headers["retry-after"]).toBe("1");
    expect(heart.reported).toEqual([]);
    first.request.end(frame.subarray(70));
    expect((await first.answer).status).toBe(200);
    expect((await second).status).toBe(200);
    expect(heart.refused).toEqual([]); // to come too early is no fault of the update
  });

  it("[API26] a newer upload of one participant takes the place of the older one", async () => {
    await start({ limits: oneTurn });
    const older = await begin();
    expect((await put(frame)).status).toBe(200);
    expect((await older.answer).body.code).toBe("ABORTED");
    expect(heart.reported).toHaveLength(1);
    expect(heart.refused).toEqual([]);
  });

  it("[API21] one that goes away while its token is checked, or in the queue, frees its place", async () => {
    await start({ limits: oneTurn });
    let goOn = () => {};
    heart.onAdmit = () => new Promise<void>((resolve) => (goOn = resolve));
    const early = open({ "content-length": frame.length });
    await until(() => heart.calls.length === 1);
    early.request.destroy();
    await new Promise((resolve) => setTimeout(resolve, 50));
    goOn();
    heart.onAdmit = async () => {};
    const first = await begin();
    const queued = open({ "content-length": frame.length, ...as(2) });
    await until(() => heart.calls.length === 3);
    queued.request.destroy();
    await until(() => heart.counted.rejected.length === 2);
    const third = put(frame, as(3));
    first.request.end(frame.subarray(70));
    expect((await first.answer).status).toBe(200);
    expect((await third).status).toBe(200);
    expect(heart.counted.rejected).toEqual(Array(2).fill("digits ABORTED"));
  });

  it("[API21] one that goes away in the middle frees its turn and leaves nothing", async () => {
    await start({ limits: oneTurn });
    for (let i = 0; i < 5; i++) {
      const { request } = await begin();
      request.destroy();
      await until(() => heart.counted.rejected.length === i + 1);
    }
    expect(heart.counted.rejected).toEqual(Array(5).fill("digits ABORTED"));
    expect(heart.refused).toEqual([]);
    expect((await put(frame)).status).toBe(200);
    expect(heart.reported).toHaveLength(1);
  });

  it("[API21] one that is too slow is sent away, may come again, and frees its turn", async () => {
    await start({ limits: { ...oneTurn, uploadTimeoutMs: 150 } });
    const slow = await begin();
    expect(await slow.answer).toMatchObject({
      status: 503,
      body: { code: "UNAVAILABLE", retryable: true, retryAfterMs: 1000 },
    });
    expect(heart.refused).toEqual([]);
    expect((await put(frame)).status).toBe(200);
    slow.request.destroy();
  });
});
