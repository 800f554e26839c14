import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";

import type { Digest } from "@tributary/protocol";
import { decodeCheckpoint, routes } from "@tributary/protocol";
import fc from "fast-check";
import type { FastifyInstance } from "fastify";
import { afterEach, describe, expect, it } from "vitest";

import type { FakeHeart, FakeOptions } from "../app.fixture.ts";
import { BASE, createFakeHeart, READER, TASK } from "../app.fixture.ts";
import { createHttpApp } from "../app.ts";
import { byteRange, isUnchanged } from "../conditional.ts";

let app: FastifyInstance;
let heart: FakeHeart;
let immutable: string;
async function start(options: FakeOptions = {}) {
  heart = await createFakeHeart(options);
  app = await createHttpApp(heart.deps);
  immutable = routes.checkpointByDigest.path({ digest: heart.digest });
}
afterEach(() => app.close());

describe("checkpoints", () => {
  it("[API15] by digest: the frame itself, immutable, its digest as ETag", async () => {
    await start();
    const { headers, rawPayload } = await app.inject(immutable);
    expect(headers).toMatchObject({
      etag: `"${heart.digest}"`,
      "cache-control": "public, max-age=31536000, immutable",
      "content-type": "application/octet-stream",
      "content-length": String(heart.frame.length),
    });
    expect(createHash("sha256").update(rawPayload).digest("hex")).toBe(heart.digest);
    expect(decodeCheckpoint(heart.layout, rawPayload).modelVersion).toBe(2);
    expect(heart.counted.sent).toBe(heart.frame.length);
  });

  it("[API15] where reading asks for a token, shared caches must not keep it", async () => {
    await start({ protected: true });
    const { headers } = await app.inject({
      url: immutable,
      headers: { authorization: `Bearer ${READER}` },
    });
    expect(headers["cache-control"]).toBe("private, max-age=31536000, immutable");
  });

  it("[API15] by version or `latest`: revalidated, with the immutable place", async () => {
    await start();
    for (const modelVersion of ["latest", 2]) {
      const answer = await app.inject(routes.checkpoint.path({ taskId: TASK, modelVersion }));
      expect(answer.headers).toMatchObject({
        etag: `"${heart.digest}"`,
        "cache-control": "no-cache",
        "content-location": immutable,
      });
      expect(answer.rawPayload.equals(heart.frame)).toBe(true);
    }
  });

  it("[API15] HEAD tells the size and sends nothing", async () => {
    await start();
    const answer = await app.inject({ method: "HEAD", url: immutable });
    expect(answer.statusCode).toBe(200);
    expect(answer.headers["content-length"]).toBe(String(heart.frame.length));
    expect(answer.rawPayload).toHaveLength(0);
    expect(heart.counted.sent).toBe(0);
  });

  it("[API16] a current copy is not sent again", async () => {
    await start();
    const latest = routes.checkpoint.path({ taskId: TASK, modelVersion: "latest" });
    for (const url of [immutable, latest]) {
      for (const tag of [
        `"${heart.digest}"`,
        `W/"${heart.digest}"`,
        `"x", "${heart.digest}"`,
        "*",
      ]) {
        const answer = await app.inject({ url, headers: { "if-none-match": tag } });
        expect(answer.statusCode, tag).toBe(304);
        expect(answer.rawPayload).toHaveLength(0);
        expect(answer.headers.etag).toBe(`"${heart.digest}"`);
      }
      const other = await app.inject({ url, headers: { "if-none-match": '"other"' } });
      expect(other.statusCode).toBe(200);
    }
  });

  it("[API17] an interrupted download goes on where it broke off", async () => {
    await start();
    const range = async (headers: Record<string, string>) =>
      app.inject({ url: immutable, headers });
    const rest = await range({ range: "bytes=10-" });
    expect(rest.statusCode).toBe(206);
    expect(rest.headers["content-range"]).toBe(
      `bytes 10-${heart.frame.length - 1}/${heart.frame.length}`,
    );
    expect(rest.rawPayload.equals(heart.frame.subarray(10))).toBe(true);
    const changed = await range({ range: "bytes=10-", "if-range": '"other"' });
    expect(changed.statusCode).toBe(200);
    expect(changed.rawPayload).toHaveLength(heart.frame.length);
  });

  it("[API17] any range is a part of the frame or the whole of it", () => {
    const number = fc.option(fc.integer({ min: 0, max: 120 }), { nil: undefined });
    fc.assert(
      fc.property(number, number, fc.integer({ min: 1, max: 100 }), (first, last, length) => {
        const headers = { range: `bytes=${first ?? ""}-${last ?? ""}` };
        const got = byteRange(headers, '"t"', length);
        if (got === undefined) {
          const satisfiable =
            first === undefined
              ? last !== undefined && last > 0
              : first < length && (last === undefined || last >= first);
          expect(satisfiable).toBe(false);
          return;
        }
        expect(got.start).toBeGreaterThanOrEqual(0);
        expect(got.end).toBeLessThanOrEqual(length);
        expect(got.start).toBe(first ?? Math.max(0, length - last!));
        expect(got.end).toBe(first === undefined ? length : Math.min(length, (last ?? 1e9) + 1));
      }),
    );
    expect(byteRange({ range: "bytes=0-1,3-4" }, '"t"', 9)).toBeUndefined();
    expect(byteRange({ range: "items=0-1" }, '"t"', 9)).toBeUndefined();
    expect(isUnchanged({}, '"t"')).toBe(false);
  });

  it("[API15] an unknown digest or version is not cached", async () => {
    await start();
    const unknown = routes.checkpointByDigest.path({ digest: "0".repeat(64) });
    const missing = routes.checkpoint.path({ taskId: TASK, modelVersion: 9 });
    for (const url of [unknown, missing]) {
      const answer = await app.inject(url);
      expect(answer.json()).toMatchObject({ code: "MODEL_NOT_FOUND" });
      expect(answer.headers["cache-control"]).toBe("no-store");
      expect(answer.headers.etag).toBeUndefined();
    }
  });

  describe("from one that the reader has", () => {
    const packed = new Uint8Array(gzipSync("TRCD and planes"));
    const from = (base = BASE) => routes.checkpointFrom.path({ digest: heart.digest, base });
    const gzip = { "accept-encoding": "br, gzip" };

    it("[DW4] the delta: immutable, gzipped, with a tag of its own", async () => {
      await start({ delta: packed });
      const { headers, rawPayload } = await app.inject({ url: from(), headers: gzip });
      expect(headers).toMatchObject({
        etag: `"${heart.digest}-from-${BASE}"`,
        "cache-control": "public, max-age=31536000, immutable",
        "content-type": "application/octet-stream",
        "content-encoding": "gzip",
        "content-length": String(packed.length),
        "accept-ranges": "none",
        vary: "Accept-Encoding",
      });
      expect(rawPayload).toEqual(Buffer.from(packed));
      expect(heart.counted.sent).toBe(packed.length);
      const headers304 = { ...gzip, "if-none-match": String(headers.etag) };
      const again = await app.inject({ url: from(), headers: headers304 });
      expect(again.statusCode).toBe(304);
      expect(again.rawPayload).toHaveLength(0);
    });

    it("[DW4] the whole where there is no delta or the reader takes no gzip, never a part of it", async () => {
      await start({ delta: packed });
      const other = "c".repeat(64) as Digest;
      for (const request of [
        { url: from(other), headers: { ...gzip, range: "bytes=10-" } },
        { url: from(), headers: { range: "bytes=10-" } },
        { url: from(), headers: { "accept-encoding": "gzip;q=0" } },
      ]) {
        const answer = await app.inject(request);
        expect(answer.statusCode).toBe(200);
        expect(answer.headers).toMatchObject({
          etag: `"${heart.digest}"`,
          "cache-control": "public, max-age=31536000, immutable",
          "accept-ranges": "none",
          vary: "Accept-Encoding",
        });
        expect(answer.headers["content-encoding"]).toBeUndefined();
        expect(answer.rawPayload.equals(heart.frame)).toBe(true);
      }
    });

    it("[DW4] it asks for what a checkpoint asks for, and what is not there is not cached", async () => {
      await start({ delta: packed, protected: true });
      const refused = await app.inject({ url: from(), headers: gzip });
      expect(refused.json()).toMatchObject({ code: "UNAUTHENTICATED" });
      expect(refused.headers["content-encoding"]).toBeUndefined();
      const reader = { ...gzip, authorization: `Bearer ${READER}` };
      const answer = await app.inject({ url: from(), headers: reader });
      expect(answer.headers["cache-control"]).toBe("private, max-age=31536000, immutable");
      const url = routes.checkpointFrom.path({ digest: BASE, base: heart.digest });
      const missing = await app.inject({ url, headers: reader });
      expect(missing.json()).toMatchObject({ code: "MODEL_NOT_FOUND" });
      expect(missing.headers["cache-control"]).toBe("no-store");
      const odd = await app.inject({ url: `${url.slice(0, -3)}XYZ`, headers: reader });
      expect(odd.json()).toMatchObject({ code: "MALFORMED_MESSAGE" });
    });
  });
});
