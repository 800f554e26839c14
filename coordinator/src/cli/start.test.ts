import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";

import type { TaskResource } from "@tributary/protocol";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { makeCertificate, writeCertificate } from "../../../test/support/certificate.ts";
import type { Addresses } from "../coordinator.ts";
import type { CliIo } from "./io.ts";
import { runCli } from "./run.ts";

const spec = (taskId: string, changes: object = {}) => ({
  taskId,
  model: { tensors: [{ name: "w", shape: [2] }] },
  ...changes,
});

let cwd: string;
beforeEach(async () => {
  cwd = await mkdtemp(join(tmpdir(), "tributary-start-"));
});
afterEach(async () => rm(cwd, { recursive: true }));

async function run(argv: readonly string[], io: Partial<CliIo> = {}) {
  let out = "";
  let err = "";
  const exitCode = await runCli(argv, {
    stdout: { write: (text) => void (out += text) },
    stderr: { write: (text) => void (err += text) },
    env: {},
    cwd,
    isTTY: false,
    ...io,
  });
  return { exitCode, out, err };
}

/** A coordinator that `start` runs until it is stopped. */
async function start(
  argv: readonly string[],
  env: CliIo["env"] = {},
  io: Pick<CliIo, "onHangup"> = {},
) {
  const interrupt = new AbortController();
  let err = "";
  const { promise: addresses, resolve, reject } = promised<Addresses>();
  const running = runCli(["start", "--port", "0", "--json", ...argv], {
    stdout: { write: (text) => resolve(JSON.parse(text) as Addresses) },
    stderr: { write: (text) => void (err += text) },
    env,
    cwd,
    isTTY: false,
    signal: interrupt.signal,
    ...io,
  });
  void running.then((exitCode) => reject(new Error(`start ended with ${exitCode}: ${err}`)));
  return {
    ...(await addresses),
    stop: async () => {
      interrupt.abort();
      return { exitCode: await running, err };
    },
  };
}

function promised<T>() {
  let resolve!: (value: T) => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

const tasksAt = async (url: string) => {
  const ran = await run(["task", "list", "--json", "--url", url]);
  expect(ran).toMatchObject({ exitCode: 0, err: "" });
  return JSON.parse(ran.out) as TaskResource[];
};

test("[CLI13] start runs a coordinator that the other commands steer with the token it made", async () => {
  const { url, stop } = await start([]);
  await writeFile(join(cwd, "task.json"), JSON.stringify(spec("by-hand")));
  const created = await run(["task", "create", "task.json", "--url", url]);
  expect(created).toMatchObject({ exitCode: 0, out: "created by-hand, 2 parameters\n" });
  const stranger = await run(["task", "pause", "by-hand", "--url", url, "--data", "elsewhere"]);
  expect(stranger.exitCode).toBe(5);
  expect((await run(["task", "pause", "by-hand", "--url", url])).out).toBe("by-hand paused\n");
  const { exitCode, err } = await stop();
  expect(exitCode).toBe(0);

  const file = join(cwd, ".tributary", "admin-token");
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  const token = (await readFile(file, "utf8")).trim();
  expect(token).toMatch(/^[A-Za-z0-9_-]{43}$/);
  expect(err).toMatch(/^storage\.directory = .* # default$/m);
  expect(err).not.toContain(token);
  expect((await run(["task", "list", "--url", url])).exitCode).toBe(6);
});

test("[DS6] start tells the dashboard's address, in its log and to programs", async () => {
  const { url, dashboardUrl, stop } = await start([]);
  expect(dashboardUrl).toBe(`${url}/dashboard`);
  const opened = await fetch(url, { headers: { accept: "text/html" }, redirect: "manual" });
  expect(opened.headers.get("location")).toBe("/dashboard");
  const { err } = await stop();
  expect(err).toMatch(new RegExp(`"dashboardUrl":"${url}/dashboard".*"msg":"listening"`));

  const without = await start(["--set", "server.dashboard=false"]);
  expect(without.dashboardUrl).toBeUndefined();
  expect((await fetch(`${without.url}/dashboard`)).status).toBe(404);
  expect((await without.stop()).err).not.toContain("/dashboard");
});

test("[CLI13] an admin token that a crash left empty is told with its file, and never taken for one", async () => {
  await mkdir(join(cwd, ".tributary"));
  const file = join(cwd, ".tributary", "admin-token");
  await writeFile(file, "\n");
  expect(await run(["start", "--port", "0"])).toMatchObject({
    exitCode: 3,
    err: expect.stringContaining(`${file} is empty; delete it`),
  });
});

test("[SIG41] start tells the key that signs, the same at each start, and another after a rotation", async () => {
  const keyOf = (err: string) => /^models are signed with key ([\w-]{43})$/m.exec(err)?.[1];
  const first = await start([]);
  const rotated = (await run(["keys", "rotate", "--url", first.url])).out.trim();
  const listed = await run(["keys", "list", "--url", first.url]);
  const before = keyOf((await first.stop()).err);
  expect(before).toMatch(/^[\w-]{43}$/);
  expect(listed.out).toMatch(new RegExp(`^${rotated} .* signs\n${before} .* replaced$`, "m"));
  const second = await start([]);
  expect(keyOf((await second.stop()).err)).toBe(rotated);
});

test("[CLI14] start creates configured tasks with their weights once, and keeps what it has", async () => {
  await writeFile(join(cwd, "w.f32"), Buffer.from(Float32Array.of(1.5, -2).buffer));
  const write = async (tasks: readonly object[]) =>
    writeFile(join(cwd, "tributary.config.json"), JSON.stringify({ tasks }));
  await write([{ spec: spec("first"), initialWeightsFile: "w.f32" }]);
  const before = await start([]);
  expect((await tasksAt(before.url)).map(({ taskId }) => taskId)).toEqual(["first"]);
  await run(["models", "download", "first", "--weights", "--out", "got.f32", "--url", before.url]);
  expect(await readFile(join(cwd, "got.f32"))).toEqual(await readFile(join(cwd, "w.f32")));
  expect((await before.stop()).err).toContain("created task first");

  await write([{ spec: spec("first") }, { spec: spec("second") }]);
  const again = await start([]);
  expect((await tasksAt(again.url)).map(({ taskId }) => taskId)).toEqual(["first", "second"]);
  const unchanged = (await again.stop()).err;
  expect(unchanged).toContain("created task second");
  expect(unchanged).not.toMatch(/created task first|warning/);

  await write([{ spec: spec("first", { plan: { epochs: 2 } }) }]);
  const changed = await start([]);
  expect((await tasksAt(changed.url))[0]!.spec.plan.epochs).toBe(1);
  expect((await changed.stop()).err).toContain("warning: task first exists with another spec");
});

test("[EC14] a task that was created with feedback has it, whatever is usual since", async () => {
  const share = { kind: "randomK", fraction: 0.5 };
  const write = async (encoding: object) =>
    writeFile(
      join(cwd, "tributary.config.json"),
      JSON.stringify({ tasks: [{ spec: spec("first", { plan: { encoding } }) }] }),
    );
  await write({ ...share, feedback: true });
  await (await start([])).stop();
  await write(share);
  const again = await start([]);
  expect((await tasksAt(again.url))[0]!.spec.plan.encoding).toEqual({
    ...{ ...share, values: "int8", feedback: true },
  });
  expect((await again.stop()).err).toContain("warning: task first exists with another spec");
});

test("[CLI15] start makes the evaluators that the config file brings", async () => {
  const evaluation = { kind: "central", evaluator: "held-out" };
  await writeFile(
    join(cwd, "tributary.config.ts"),
    `import { writeFileSync } from "node:fs";
    export const config = { tasks: [{ spec: ${JSON.stringify(spec("judged", { evaluation }))} }] };
    export const evaluators = {
      "held-out": async () => {
        writeFileSync(${JSON.stringify(join(cwd, "made"))}, "once");
        return { evaluate: async () => ({ source: "central", numExamples: 1, loss: 0 }) };
      },
    };`,
  );
  const { url, stop } = await start(["--memory"]);
  const [task] = await tasksAt(url);
  expect(task!.spec.evaluation).toEqual(evaluation);
  expect(await readFile(join(cwd, "made"), "utf8")).toBe("once");
  expect(await stop()).toMatchObject({ exitCode: 0 });
});

test("[CLI15] a stored task whose evaluator is not brought any more is named, with what it needs", async () => {
  const evaluation = { kind: "central", evaluator: "held-out" };
  const file = join(cwd, "tributary.config.mjs");
  await writeFile(
    file,
    `export const config = { tasks: [{ spec: ${JSON.stringify(spec("judged", { evaluation }))} }] };
    export const evaluators = {
      "held-out": { evaluate: async () => ({ source: "central", numExamples: 1, loss: 0 }) },
    };`,
  );
  await (await start([])).stop();
  await rm(file);
  const refused = await run(["start", "--port", "0"]);
  expect(refused.exitCode).toBe(3);
  expect(refused.err).toContain(
    'task "judged" cannot go on: it needs the evaluator "held-out", and this coordinator has none; start with',
  );
});

test("[CLI13] start tells a wrong setting, a wrong weights file and a port in use", async () => {
  expect((await run(["start", "--port", "x"])).exitCode).toBe(3);
  await writeFile(
    join(cwd, "tributary.config.json"),
    JSON.stringify({ tasks: [{ spec: spec("a"), initialWeightsFile: "none.f32" }] }),
  );
  const noWeights = await run(["start", "--memory", "--port", "0"]);
  expect(noWeights.exitCode).toBe(3);
  expect(noWeights.err).toContain("none.f32");
  await rm(join(cwd, "tributary.config.json"));
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
  const { port } = other.address() as AddressInfo;
  const inUse = await run(["start", "--memory", "--port", `${port}`]);
  await new Promise((resolve) => other.close(resolve));
  expect(inUse.exitCode).toBe(1);
  expect(inUse.err).toContain(`127.0.0.1:${port} is in use by another program`);
});

test("[CLI16] config check tells every fault with its origin, config print conceals secrets", async () => {
  const env = { TRIBUTARY_SERVER_PORT: "nine", TRIBUTARY_AUTH_ADMIN_TOKEN: "short" };
  const checked = await run(["config", "check", "--set", "limits.maxClients=0"], { env });
  expect(checked).toMatchObject({ exitCode: 3, out: "" });
  expect(checked.err).toBe(
    "error: CONFIG_INVALID the configuration is not valid, 3 faults:\n" +
      '  server.port must be an integer, got "nine" (env TRIBUTARY_SERVER_PORT)\n' +
      "  auth.adminToken must be 16 or more visible ASCII characters without spaces (env TRIBUTARY_AUTH_ADMIN_TOKEN)\n" +
      "  limits.maxClients must be >= 1, got 0 (flag --set limits.maxClients)\n",
  );
  const secret = { TRIBUTARY_AUTH_ADMIN_TOKEN: "a-token-of-some-length" };
  for (const json of [[], ["--json"]]) {
    const printed = await run(["config", "print", ...json], { env: secret });
    expect(printed.exitCode).toBe(0);
    expect(printed.out).toContain("env TRIBUTARY_AUTH_ADMIN_TOKEN");
    expect(printed.out).not.toContain(secret.TRIBUTARY_AUTH_ADMIN_TOKEN);
  }
  expect(await run(["config", "check"])).toMatchObject({ exitCode: 0 });
});

test("[DR12] beside encrypted data no admin token is kept in the clear; one that is there is told of", async () => {
  const env = { TRIBUTARY_STORAGE_ENCRYPTION_KEY: "0f".repeat(32) };
  const file = join(cwd, ".tributary", "admin-token");
  const first = await start([], env);
  const stranger = await run(["task", "pause", "none", "--url", first.url], { env });
  expect(stranger.exitCode).toBe(5);
  expect((await first.stop()).err).toContain("no admin token: set TRIBUTARY_AUTH_ADMIN_TOKEN");
  await expect(stat(file)).rejects.toMatchObject({ code: "ENOENT" });

  await writeFile(file, "a-token-from-before-the-key\n");
  const again = await start([], env);
  expect((await run(["task", "pause", "none", "--url", again.url], { env })).exitCode).toBe(4);
  expect((await again.stop()).err).toContain(`warning: ${file} is not encrypted`);
});

describe("[NET12] TLS", () => {
  let files: { readonly certificateFile: string; readonly keyFile: string };
  const setting = () => ({
    TRIBUTARY_SERVER_TLS_CERTIFICATE_FILE: files.certificateFile,
    TRIBUTARY_SERVER_TLS_KEY_FILE: files.keyFile,
  });

  test("[NET12] start speaks TLS, reads its files again on a hang-up, and commands ask for https", async () => {
    files = await writeCertificate(cwd, makeCertificate());
    let hangUp = () => {};
    const { url, stop } = await start(["--memory"], setting(), {
      onHangup: (listener) => void (hangUp = listener),
    });
    expect(url).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
    const port = Number(new URL(url).port);
    const before = await peerCertificate(port);
    await writeCertificate(cwd, makeCertificate());
    hangUp();
    await expect.poll(() => peerCertificate(port)).not.toBe(before);
    // The certificate of the test is trusted by nobody: told in one line, with what to do.
    const distrusted = await run(["task", "list", "--port", `${port}`], { env: setting() });
    expect(distrusted.exitCode).toBe(6);
    const plain = await run(["task", "list", "--url", `http://127.0.0.1:${port}`]);
    expect(plain.exitCode).toBe(6);
    expect(plain.err).toContain("is it https://?");
    expect(distrusted.err).toMatch(
      /^error: UNAVAILABLE cannot reach a coordinator at https:\/\/127\.0\.0\.1:\d+ over TLS: .*DEPTH_ZERO_SELF_SIGNED_CERT.*NODE_EXTRA_CA_CERTS.*\n$/,
    );
    expect((await stop()).exitCode).toBe(0);
  });

  test("[NET12] a coordinator without TLS is told from one that is not there", async () => {
    const { url, stop } = await start(["--memory"]);
    const { exitCode, err } = await run(["task", "list", "--url", url.replace("http:", "https:")]);
    await stop();
    expect(exitCode).toBe(6);
    expect(err).toMatch(/^error: UNAVAILABLE .* it speaks no TLS; write http:\/\/ .*\n$/);
  });

  test("[NET8] start ends with one line for each file that is no good", async () => {
    files = { certificateFile: join(cwd, "none.pem"), keyFile: join(cwd, "none.key") };
    const { exitCode, err } = await run(["start", "--memory", "--port", "0"], { env: setting() });
    expect(exitCode).toBe(3);
    const lines = err.split("\n").filter((line) => line.startsWith("  server.tls."));
    expect(lines).toHaveLength(2);
    expect(err).toContain("error: CONFIG_INVALID the configuration is not valid, 2 faults:\n");
  });
});

test.each(["0.0.0.0", "::", "192.168.1.7", "coordinator.example"])(
  "[NET7] start refuses --host %s without TLS and without a proxy, in one line for each fault",
  async (host) => {
    const env = { TRIBUTARY_AUTH_CLIENT_TOKEN: "a-token-of-some-length" };
    const { exitCode, out, err } = await run(["start", "--memory", "--host", host], { env });
    expect({ exitCode, out }).toEqual({ exitCode: 3, out: "" });
    expect(err).toContain("  auth.adminToken is not set");
    expect(err).toContain(`  server.trustedProxy is false, while server.host is "${host}"`);
    const byVariable = { ...env, TRIBUTARY_SERVER_HOST: host };
    expect((await run(["start", "--memory"], { env: byVariable })).exitCode).toBe(3);
  },
);

/** Fingerprint of the certificate that a new connection gets. */
async function peerCertificate(port: number): Promise<string> {
  const socket = connectTls({ host: "127.0.0.1", port, rejectUnauthorized: false });
  await once(socket, "secureConnect");
  const { fingerprint256 } = socket.getPeerCertificate();
  socket.destroy();
  return fingerprint256;
}
