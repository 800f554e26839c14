import { spawn } from "node:child_process";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import { connect } from "node:net";
import { fileURLToPath } from "node:url";
import type { TLSSocket } from "node:tls";
import { connect as connectTls } from "node:tls";

import { routes } from "@tributary/protocol";
import { afterEach, beforeEach, expect, test } from "vitest";

import type { TestCertificate } from "../support/certificate.ts";
import { makeCertificate, writeCertificate } from "../support/certificate.ts";
import type { RunningCoordinator } from "../support/coordinator.ts";
import { smallTask, startCoordinator } from "../support/coordinator.ts";
import { temporaryFolder } from "../support/folder.ts";
import { exchange, exchangePlain, handshake } from "../support/raw-http.ts";

const CLI = fileURLToPath(new URL("../../coordinator/dist/cli/main.js", import.meta.url));
const TESTS = fileURLToPath(new URL("..", import.meta.url));

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let pair: TestCertificate;
let files: { readonly certificateFile: string; readonly keyFile: string };
beforeEach(async () => {
  folder = await temporaryFolder();
  pair = makeCertificate();
  files = await writeCertificate(folder.path, pair);
});
afterEach(() => folder[Symbol.asyncDispose]());

const startTls = () => startCoordinator({ config: { server: { tls: files } } });

/** A TLS connection that trusts exactly this certificate. */
async function dial(url: string, ca = pair.cert): Promise<TLSSocket> {
  const { hostname, port } = new URL(url);
  const socket = connectTls({ host: hostname, port: Number(port), ca });
  await once(socket, "secureConnect");
  return socket;
}

async function get(url: string, ca = pair.cert) {
  const asked = request(url, { ca, agent: false }).end();
  const [response] = (await once(asked, "response")) as [IncomingMessage];
  let body = "";
  for await (const chunk of response) body += String(chunk);
  return { status: response.statusCode, headers: response.headers, body };
}

test("[NET11] HTTP and WebSocket speak TLS on the one port, and the seconds left are shown", async () => {
  await using running = await startTls();
  expect(running.url).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
  const answer = await get(running.url + routes.metrics.path());
  expect(answer).toMatchObject({ status: 200, headers: { "x-content-type-options": "nosniff" } });
  // Loopback: a browser would keep plain pages of every other port away, too.
  expect(answer.headers["strict-transport-security"]).toBeUndefined();
  const [, seconds] = /^tributary_tls_certificate_expiry_seconds (\S+)$/m.exec(answer.body) ?? [];
  expect(Math.round(Number(seconds) / 86_400)).toBe(365);

  const upgrade = await exchange(await dial(running.url), handshake(running.url));
  expect(upgrade.status).toBe(101);
  const origin = "https://evil.example";
  const page = handshake(running.url, { headers: { origin } });
  expect((await exchange(await dial(running.url), page)).status).toBe(403);
  const socket = await dial(running.url);
  expect(socket.getProtocol()).toBe("TLSv1.3");
  socket.destroy();
});

test("[NET11] neither plain HTTP nor an old TLS gets an answer", async () => {
  await using running = await startTls();
  const plain = await exchangePlain(running.url, "GET /livez HTTP/1.1\r\nhost: x\r\n\r\n");
  expect(plain).toMatchObject({ status: NaN, body: "" });
  const { hostname, port } = new URL(running.url);
  const old = connectTls({
    ...{ host: hostname, port: Number(port), ca: pair.cert },
    ...{ minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" },
  });
  await expect(once(old, "secureConnect")).rejects.toThrow();
  // It harmed nobody.
  expect((await get(running.url + routes.livez.path())).status).toBe(200);
});

test("[NET9] a renewed certificate is for new connections, and open ones live on", async () => {
  await using running = await startTls();
  const open = await dial(running.url);
  const renewed = makeCertificate();
  await writeCertificate(folder.path, renewed);
  await running.coordinator.reloadTls();
  expect((await get(running.url + routes.livez.path(), renewed.cert)).status).toBe(200);
  await expect(dial(running.url)).rejects.toThrow();
  const alive = `GET ${routes.livez.path()} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`;
  expect((await exchange(open, alive)).status).toBe(200);

  await writeCertificate(folder.path, { cert: "broken", key: pair.key });
  await expect(running.coordinator.reloadTls()).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  expect((await get(running.url + routes.livez.path(), renewed.cert)).status).toBe(200);
});

test("[NET8] a certificate of another key keeps the coordinator from starting, and leaves nothing open", async () => {
  files = await writeCertificate(folder.path, { ...pair, key: makeCertificate().key });
  await expect(startTls()).rejects.toMatchObject({
    code: "CONFIG_INVALID",
    message: expect.stringContaining(files.keyFile) as string,
  });
});

test("[API10] over TLS, too, closing ends silent connections and lets a request under way finish", async () => {
  const running = await startTls();
  const { hostname, port } = new URL(running.url);
  const silent = connect(Number(port), hostname); // never begins its handshake
  await once(silent, "connect");
  const ahead = await dial(running.url); // opened without a request, as browsers do
  const stream = await dial(running.url);
  stream.write(`GET ${routes.events.path()} HTTP/1.1\r\nhost: x\r\n\r\n`);
  let text = "";
  stream.on("data", (chunk) => (text += String(chunk)));
  await expect.poll(() => text).toContain("retry:");
  const ends = [silent, ahead, stream].map((socket) => once(socket.resume(), "close"));
  const started = performance.now();
  await running.coordinator.close();
  await Promise.all(ends);
  expect(performance.now() - started).toBeLessThan(1900);
  // The stream was ended as HTTP ends a body, and not cut.
  expect(text.endsWith("0\r\n\r\n")).toBe(true);
});

/** Runs a program of its own that trusts the certificate; it is gone when the test ends. */
function spawnNode(args: readonly string[], env: Readonly<Record<string, string>>) {
  const child = spawn(process.execPath, args, {
    cwd: TESTS,
    env: { PATH: process.env.PATH, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const note = (chunk: Buffer) => void (output += String(chunk));
  child.stdout.on("data", note);
  child.stderr.on("data", note);
  return {
    output: () => output,
    kill: (signal: NodeJS.Signals) => child.kill(signal),
    ended: async () => {
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
      return child.exitCode;
    },
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    },
  };
}

/** Takes part in one round of the task, with a trainer that adds 1 to every weight. */
const CLIENT = `
import { createClient } from "@tributary/client-sdk";
const trainer = {
  train: async ({ weights }) => ({ weights: weights.map((w) => w + 1), numExamples: 1, metrics: {} }),
};
const client = createClient({ url: process.argv[1] });
const outcome = await client.join("small", { trainer }).done;
console.log(JSON.stringify(outcome));
await client.close();
`;

test("[NET11] clients of the SDK train over TLS, with a certificate authority of their own", async () => {
  await using running: RunningCoordinator = await startTls();
  await running.coordinator.tasks.create(smallTask({ stop: { maxRounds: 1 } }));
  const args = ["--input-type=module", "-e", CLIENT, running.url];
  const trusting = { NODE_EXTRA_CA_CERTS: files.certificateFile };
  await using first = spawnNode(args, trusting);
  await using second = spawnNode(args, trusting);
  const round = await running.roundEnded(1, 60_000);
  expect(round, first.output() + second.output()).toMatchObject({
    phase: "committed",
    participants: { reported: 2 },
  });
  for (const client of [first, second]) {
    expect(await client.ended(), client.output()).toBe(0);
  }
});

test("[NET9] the command takes renewed files up on SIGHUP; [NET12] commands reach it over TLS", async () => {
  const env = {
    TRIBUTARY_AUTH_ADMIN_TOKEN: "an-admin-token-for-tests",
    TRIBUTARY_SERVER_TLS_CERTIFICATE_FILE: files.certificateFile,
    TRIBUTARY_SERVER_TLS_KEY_FILE: files.keyFile,
  };
  await using coordinator = spawnNode([CLI, "start", "--memory", "--port", "0"], env);
  await expect
    .poll(coordinator.output, { timeout: 30_000 })
    .toMatch(/listening on https:\/\/\S+:\d+\n/);
  const [, url = ""] = /listening on (\S+)/.exec(coordinator.output()) ?? [];
  const listing = [CLI, "task", "list", "--url", url];
  await using trusting = spawnNode(listing, { ...env, NODE_EXTRA_CA_CERTS: files.certificateFile });
  expect(await trusting.ended(), trusting.output()).toBe(0);

  const renewed = makeCertificate();
  await writeCertificate(folder.path, renewed);
  coordinator.kill("SIGHUP");
  await expect.poll(coordinator.output, { timeout: 30_000 }).toContain("TLS certificate loaded");
  expect((await get(url + routes.livez.path(), renewed.cert)).status).toBe(200);
  coordinator.kill("SIGTERM");
  expect(await coordinator.ended(), coordinator.output()).toBe(0);
});
