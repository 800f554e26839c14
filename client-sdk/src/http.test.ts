import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { brotliDecompressSync } from "node:zlib";

import type { CheckpointRef } from "@tributary/protocol";
import { checksumOf, contentDigestOf, FederatedError, sha256 } from "@tributary/protocol";
import { expect, test } from "vitest";

import { createCredentials } from "./credentials.ts";
import type { Fetch, Http } from "./http.ts";
import { createHttp, resolvePath } from "./http.ts";

const ORIGIN = "http://coordinator.test";
const FRAME = new Uint8Array([9, 8, 7, 6]);
const UPDATE = { url: "/v1/rounds/t.1/update", token: "round-token", maxBytes: 100 };
const RECEIPT = { roundId: "t.1", status: "accepted", duplicate: false };
const never = new AbortController().signal;

interface Call {
  readonly url: string;
  readonly init: RequestInit;
}

/** An Http whose answers are given one after the other; the last one is given for ever. */
function scripted(...answers: (() => Response | Promise<Response>)[]): {
  http: Http;
  calls: Call[];
} {
  const calls: Call[] = [];
  const fetch: Fetch = async (url, init) => {
    calls.push({ url: url as string, init: init ?? {} });
    const answer = answers[Math.min(calls.length, answers.length) - 1];
    return answer!();
  };
  const backoff = { baseMs: 1, maxMs: 2, random: () => 0.5 };
  const http = createHttp({
    origin: ORIGIN,
    credentials: createCredentials("reader", "A".repeat(43)),
    fetch,
    backoff,
    requestTimeoutMs: 50,
  });
  return { http, calls };
}

const problem =
  (error: FederatedError, headers: Record<string, string> = {}) =>
  () =>
    new Response(JSON.stringify(error.toProblem()), {
      status: error.status,
      headers: { "content-type": "application/problem+json", ...headers },
    });
const networkFault = () => Promise.reject(new TypeError("fetch failed"));
const receipt = () => Response.json(RECEIPT);

async function checkpoint(bytes = FRAME): Promise<Omit<CheckpointRef, "signed">> {
  const digest = await sha256(bytes);
  return { modelVersion: 3, digest, bytes: bytes.length, url: `/v1/checkpoints/${digest}` };
}

test("[SDK30] a checkpoint is verified; damaged bytes are fetched again past any cache", async () => {
  const ref = await checkpoint();
  const damaged = new Uint8Array([9, 8, 7, 5]);
  const { http, calls } = scripted(
    () => new Response(damaged),
    () => new Response(FRAME),
  );
  await expect(http.getCheckpoint(ref, { signal: never })).resolves.toEqual(FRAME);
  expect(calls.map(({ init }) => init.cache)).toEqual(["default", "reload"]);
  const hopeless = scripted(() => new Response(damaged));
  await expect(
    hopeless.http.getCheckpoint(ref, { signal: never, attempts: 3 }),
  ).rejects.toMatchObject({ code: "CHECKPOINT_CORRUPT" });
  expect(hopeless.calls).toHaveLength(3);
});

test("[EC11] an update is packed where the plan asks for it and it pays, and goes as it is otherwise", async () => {
  const zeros = new Uint8Array(5000);
  const { http, calls } = scripted(receipt);
  const put = async (frame: Uint8Array, compression?: string) => {
    await http.putUpdate(UPDATE, frame, { signal: never, ...(compression && { compression }) });
    const { headers, body } = calls.at(-1)!.init;
    const digest = contentDigestOf({ checksum: checksumOf(body as Uint8Array) });
    expect(headers).toMatchObject({ "content-digest": digest });
    return { coding: new Headers(headers).get("content-encoding"), body: body as Uint8Array };
  };
  const packed = await put(zeros, "brotli");
  expect(packed.coding).toBe("br");
  expect(packed.body.length).toBeLessThan(50);
  expect(new Uint8Array(brotliDecompressSync(packed.body))).toEqual(zeros);
  for (const compression of [undefined, "none", "zstd"]) {
    expect(await put(zeros, compression)).toEqual({ coding: null, body: zeros });
  }
  const noise = crypto.getRandomValues(new Uint8Array(5000));
  expect(await put(noise, "brotli")).toEqual({ coding: null, body: noise });
});

test("[EC11] a platform that cannot pack sends updates as they are", async () => {
  const zeros = new Uint8Array(5000);
  const { getBuiltinModule } = process;
  Object.assign(process, { getBuiltinModule: undefined });
  try {
    const { http, calls } = scripted(receipt);
    await http.putUpdate(UPDATE, zeros, { signal: never, compression: "brotli" });
    const { headers, body } = calls[0]!.init;
    const isPacked = new Headers(headers).get("content-encoding") === "br";
    // A Node whose streams know brotli packs with those.
    if (isPacked) expect(new Uint8Array(brotliDecompressSync(body as Uint8Array))).toEqual(zeros);
    else expect(body).toEqual(zeros);
  } finally {
    Object.assign(process, { getBuiltinModule });
  }
});

test("[SDK31] no more bytes are read than were announced", async () => {
  const ref = await checkpoint();
  let pulled = 0;
  const endless = () =>
    new Response(
      new ReadableStream({
        pull: (controller) => {
          pulled += 1;
          controller.enqueue(new Uint8Array(3));
        },
      }),
    );
  const { http } = scripted(endless);
  await expect(http.getCheckpoint(ref, { signal: never, attempts: 1 })).rejects.toMatchObject({
    code: "CHECKPOINT_CORRUPT",
  });
  expect(pulled).toBeLessThan(5);
  const announced = scripted(() => new Response(null, { headers: { "content-length": "5000" } }));
  await expect(
    announced.http.getCheckpoint(ref, { signal: never, attempts: 1 }),
  ).rejects.toMatchObject({ code: "CHECKPOINT_CORRUPT" });
});

test("[SDK32] an update is sent again, byte for byte, until it is answered", async () => {
  const { http, calls } = scripted(
    networkFault,
    problem(new FederatedError("UNAVAILABLE", "later", { retryAfterMs: 2 })),
    () => new Response("<html>", { status: 502 }),
    () => new Response("busy", { status: 429, headers: { "retry-after": "0" } }),
    () => new Response("what is this?"),
    receipt,
  );
  await expect(http.putUpdate(UPDATE, FRAME, { signal: never })).resolves.toEqual(RECEIPT);
  expect(calls).toHaveLength(6);
  for (const { url, init } of calls) {
    expect(url).toBe(`${ORIGIN}${UPDATE.url}`);
    expect(init.method).toBe("PUT");
    expect(init.body).toBe(FRAME);
    expect(new Headers(init.headers).get("authorization")).toBe("Bearer round-token");
  }
});

test("[SDK32] a refusal is final and keeps its code", async () => {
  for (const code of ["ROUND_CLOSED", "UPDATE_NOT_FINITE", "UNAUTHENTICATED"] as const) {
    const { http, calls } = scripted(problem(new FederatedError(code, "no")));
    await expect(http.putUpdate(UPDATE, FRAME, { signal: never })).rejects.toMatchObject({ code });
    expect(calls).toHaveLength(1);
  }
  const proxy = scripted(() => new Response("too large", { status: 413 }));
  await expect(proxy.http.putUpdate(UPDATE, FRAME, { signal: never })).rejects.toMatchObject({
    code: "UPDATE_TOO_LARGE",
  });
});

test("[SDK33] the pause that the coordinator asks for is kept, from header or problem", async () => {
  for (const pause of [
    problem(new FederatedError("RATE_LIMITED", "slow", { retryAfterMs: 120 })),
    () => new Response("", { status: 503, headers: { "retry-after": "1" } }),
  ]) {
    const { http } = scripted(pause, receipt);
    const before = performance.now();
    await http.putUpdate(UPDATE, FRAME, { signal: never });
    expect(performance.now() - before).toBeGreaterThanOrEqual(110);
  }
});

test("[SDK34] calling off ends a request, and a pause between two, at once", async () => {
  const during = new AbortController();
  const hanging = scripted(() => {
    queueMicrotask(() => during.abort());
    return new Promise<Response>((_, reject) => {
      during.signal.addEventListener("abort", () => reject(new DOMException("", "AbortError")));
    });
  });
  await expect(
    hanging.http.putUpdate(UPDATE, FRAME, { signal: during.signal }),
  ).rejects.toMatchObject({ code: "ABORTED" });
  const between = new AbortController();
  const pausing = scripted(
    problem(new FederatedError("UNAVAILABLE", "", { retryAfterMs: 60_000 })),
  );
  setTimeout(() => between.abort(), 20);
  await expect(
    pausing.http.putUpdate(UPDATE, FRAME, { signal: between.signal }),
  ).rejects.toMatchObject({ code: "ABORTED" });
  expect(pausing.calls).toHaveLength(1);
});

test("[SDK34] a try that takes too long is given up and made again", async () => {
  const aborted: AbortSignal[] = [];
  const calls: Call[] = [];
  const fetch: Fetch = (url, init) => {
    calls.push({ url: url as string, init: init! });
    if (calls.length > 1) return Promise.resolve(receipt());
    return new Promise((_, reject) => {
      init!.signal!.addEventListener("abort", () => {
        aborted.push(init!.signal!);
        reject(new DOMException("", "AbortError"));
      });
    });
  };
  const backoff = { baseMs: 1, maxMs: 1, random: () => 0 };
  const http = createHttp({ origin: ORIGIN, fetch, backoff, requestTimeoutMs: 30 });
  await expect(http.putUpdate(UPDATE, FRAME, { signal: never })).resolves.toEqual(RECEIPT);
  expect(aborted).toHaveLength(1);
});

test("[SDK35] a token goes to the coordinator's origin and nowhere else", async () => {
  for (const path of [
    "https://evil.test/v1",
    "//evil.test/v1",
    "/\\evil.test/v1",
    "\\\\evil.test",
    "v1/rounds",
    "",
  ]) {
    expect(() => resolvePath(ORIGIN, path), path).toThrow(/is no path on/);
    const { http, calls } = scripted(receipt);
    await expect(
      (async () => http.putUpdate({ ...UPDATE, url: path }, FRAME, { signal: never }))(),
    ).rejects.toMatchObject({ code: "MALFORMED_MESSAGE" });
    expect(calls).toHaveLength(0);
  }
  expect(resolvePath(ORIGIN, "/v1/a?b")).toBe(`${ORIGIN}/v1/a?b`);
});

test("[SDK35] a redirect is not followed", async () => {
  const reached: string[] = [];
  const elsewhere = createServer((request, response) => {
    reached.push(String(request.headers.authorization));
    response.end(FRAME);
  });
  const coordinator = createServer((_, response) => {
    const { port } = elsewhere.address() as AddressInfo;
    response.writeHead(302, { location: `http://127.0.0.1:${port}/` }).end();
  });
  const listen = (server: typeof elsewhere) =>
    new Promise<void>((resolve) => {
      server.listen(0, "127.0.0.1", resolve);
    });
  await Promise.all([listen(elsewhere), listen(coordinator)]);
  try {
    const { port } = coordinator.address() as AddressInfo;
    const http = createHttp({
      origin: `http://127.0.0.1:${port}`,
      credentials: createCredentials("reader", "A".repeat(43)),
      fetch: globalThis.fetch,
      backoff: { baseMs: 1, maxMs: 1, random: () => 0 },
      requestTimeoutMs: 5_000,
    });
    await expect(
      http.getCheckpoint(await checkpoint(), { signal: never, attempts: 2 }),
    ).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(reached).toEqual([]);
  } finally {
    for (const server of [elsewhere, coordinator]) {
      server.closeAllConnections();
      server.close();
    }
  }
});

test("[AT1] an update carries its checksum, and one that was damaged on its way is sent again", async () => {
  const damaged = problem(new FederatedError("UPDATE_CORRUPT", "send it again"));
  const { http, calls } = scripted(damaged, damaged, receipt);
  await expect(http.putUpdate(UPDATE, FRAME, { signal: never })).resolves.toEqual(RECEIPT);
  expect(calls).toHaveLength(3);
  for (const { init } of calls) {
    expect(new Headers(init.headers).get("content-digest")).toBe(
      contentDigestOf({ checksum: checksumOf(FRAME) }),
    );
  }
});
