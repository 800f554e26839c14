import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";

import { routes } from "@tributary/protocol";
import type { FastifyInstance } from "fastify";
import { afterEach, beforeEach, expect, test } from "vitest";

import { createFakeHeart } from "../app.fixture.ts";
import { createHttpApp } from "../app.ts";

const PAGE = '<!doctype html><script type="module" src="/dashboard/assets/index-5fa2.js"></script>';
const SCRIPT = "export const answer = 42;\n".repeat(100);
const BROWSER = { accept: "text/html,application/xhtml+xml,*/*;q=0.8" };
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
  "font-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

let folder: string;
let app: FastifyInstance;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tributary-page-"));
  await build();
  await start();
});
afterEach(async () => {
  await app.close();
  await rm(folder, { recursive: true });
});

const directory = () => join(folder, "dashboard");
async function build() {
  await mkdir(join(directory(), "assets"), { recursive: true });
  await writeFile(join(folder, "secret.txt"), "not of the page");
  await writeFile(join(directory(), "index.html"), PAGE);
  await writeFile(join(directory(), "icon.svg"), "<svg/>");
  await writeFile(join(directory(), "assets", "index-5fa2.js"), SCRIPT);
}
async function start(options = { dashboardDirectory: directory(), protected: true } as object) {
  app = await createHttpApp((await createFakeHeart(options)).deps);
}
const get = (url: string, headers: Record<string, string> = {}) => app.inject({ url, headers });

test("[DS1] the page is there at its path and at each place below it, without a token", async () => {
  for (const [url, headers] of [
    ["/dashboard", {}],
    ["/dashboard/", {}],
    ["/dashboard?theme=dark", {}],
    ["/dashboard/tasks/digits", BROWSER],
    ["/dashboard/rounds/digits.3", BROWSER],
  ] as const) {
    const answer = await get(url, headers);
    expect(answer.statusCode, url).toBe(200);
    expect(answer.headers["content-type"], url).toBe("text/html; charset=utf-8");
    expect(answer.body, url).toBe(PAGE);
  }
  const icon = await get("/dashboard/icon.svg", BROWSER);
  expect(icon).toMatchObject({ statusCode: 200, body: "<svg/>" });
  expect(icon.headers["content-type"]).toBe("image/svg+xml");
  // What it asks for asks as ever.
  expect((await get(routes.tasks.path())).statusCode).toBe(401);
});

test("[DS1] what is no file of the page is not there, whoever asks", async () => {
  for (const [url, headers] of [
    ["/dashboard/assets/gone-1.js", BROWSER],
    ["/dashboard/assets/gone-1.js", {}],
    ["/dashboard/tasks/digits", { accept: "application/json" }],
    ["/dashboard/favicon.ico", { accept: "image/*" }],
    ["/dashboard/../secret.txt", {}],
    ["/dashboard/%2e%2e/secret.txt", {}],
    ["/dashboard/..%2fsecret.txt", {}],
    ["/dashboard/assets/..%2f..%2f..%2fsecret.txt", BROWSER],
    ["/dashboards", BROWSER],
  ] as const) {
    const answer = await get(url, headers);
    expect(answer.statusCode, url).toBe(404);
    expect(answer.json(), url).toMatchObject({ code: "NOT_FOUND" });
    expect(answer.headers["cache-control"], url).toBe("no-store");
  }
  const sent = await app.inject({ method: "POST", url: "/dashboard" });
  expect(sent.statusCode).toBe(404);
});

test("[DS2] the page has a policy of its own, beside the headers of every answer", async () => {
  for (const url of ["/dashboard", "/dashboard/assets/index-5fa2.js"]) {
    expect((await get(url)).headers).toMatchObject({
      "content-security-policy": POLICY,
      "x-content-type-options": "nosniff",
      "referrer-policy": "no-referrer",
    });
  }
  for (const url of ["/dashboard/assets/gone.js", routes.livez.path()]) {
    expect((await get(url)).headers["content-security-policy"]).not.toBe(POLICY);
  }
});

test("[DS3] hashed files never change, the others are asked for again by their ETag", async () => {
  const script = await get("/dashboard/assets/index-5fa2.js");
  expect(script.headers).toMatchObject({
    "content-type": "text/javascript; charset=utf-8",
    "cache-control": "public, max-age=31536000, immutable",
    vary: "accept-encoding",
  });
  const page = await get("/dashboard");
  expect(page.headers["cache-control"]).toBe("no-cache");
  const etag = String(page.headers.etag);
  expect(etag).toMatch(/^"[\w-]{43}"$/);
  const again = await get("/dashboard/", { "if-none-match": etag });
  expect(again).toMatchObject({ statusCode: 304, body: "" });
  expect(again.headers).toMatchObject({ etag, "content-security-policy": POLICY });
  expect((await get("/dashboard", { "if-none-match": '"other"' })).statusCode).toBe(200);

  const head = await app.inject({ method: "HEAD", url: "/dashboard" });
  expect(head).toMatchObject({ statusCode: 200, body: "" });
  expect(head.headers).toMatchObject({ etag, "content-length": String(PAGE.length) });
});

test.each([
  ["gzip, deflate, br", true],
  ["br;q=1, gzip;q=0.5", true],
  ["GZIP", true],
  ["gzip;q=0", false],
  ["gzip;q=0.00, br", false],
  ["br", false],
  ["notgzip", false],
  ["", false],
])("[DS3] who says %j gets it gzipped: %s", async (accepted, isGzipped) => {
  const url = "/dashboard/assets/index-5fa2.js";
  const plain = await get(url);
  const answer = await get(url, { "accept-encoding": accepted });
  if (!isGzipped) {
    expect(answer.headers["content-encoding"]).toBeUndefined();
    expect(answer.body).toBe(SCRIPT);
    return;
  }
  expect(answer.headers["content-encoding"]).toBe("gzip");
  expect(answer.rawPayload.length).toBeLessThan(SCRIPT.length / 2);
  expect(gunzipSync(answer.rawPayload).toString()).toBe(SCRIPT);
  expect(answer.headers.etag).not.toBe(plain.headers.etag);
  const known = { "accept-encoding": accepted, "if-none-match": String(answer.headers.etag) };
  expect((await get(url, known)).statusCode).toBe(304);
});

test("[DS3] what gzip does not shrink is sent as it is", async () => {
  const answer = await get("/dashboard/icon.svg", { "accept-encoding": "gzip" });
  expect(answer.headers["content-encoding"]).toBeUndefined();
  expect(answer.body).toBe("<svg/>");
});

test("[DS4] a browser at the coordinator's address is sent to the dashboard, a program is not", async () => {
  const person = await get("/", BROWSER);
  expect(person.statusCode).toBe(302);
  expect(person.headers).toMatchObject({ location: "/dashboard", vary: "accept" });
  for (const headers of [{}, { accept: "*/*" }, { accept: "application/json" }]) {
    const answer = await get("/", headers);
    expect(answer.json()).toMatchObject({ code: "NOT_FOUND" });
  }
});

test("[DS5] switched off there is neither page nor redirect", async () => {
  await app.close();
  await start({});
  for (const url of ["/dashboard", "/dashboard/", "/"]) {
    expect((await get(url, BROWSER)).statusCode, url).toBe(404);
  }
});

test("[DS5] not built it says so, all else goes on, and once built it is there", async () => {
  await app.close();
  await rm(directory(), { recursive: true });
  await start();
  const answer = await get("/dashboard", BROWSER);
  expect(answer.statusCode).toBe(503);
  expect(answer.headers["retry-after"]).toBe("10");
  expect(answer.json()).toMatchObject({
    code: "UNAVAILABLE",
    message: expect.stringContaining("npm run build") as string,
  });
  expect(answer.body).not.toContain(folder);
  expect((await get(routes.livez.path())).statusCode).toBe(200);

  // A build that was broken off is none.
  await mkdir(directory());
  expect((await get("/dashboard")).statusCode).toBe(503);
  await build();
  expect((await get("/dashboard")).body).toBe(PAGE);
});

test("[DS7] the page is no part of the API's description", async () => {
  await app.close();
  await start({ dashboardDirectory: directory() });
  const { paths } = (await get(routes.openapi.path())).json<{ paths: object }>();
  expect(Object.keys(paths).filter((path) => path === "/" || path.includes("dashboard"))).toEqual(
    [],
  );
});
