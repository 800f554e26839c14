import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { FederatedError } from "@tributary/protocol";
import { isFederatedError } from "@tributary/protocol";
import { afterEach, beforeEach, expect, test } from "vitest";

import type { ConfigSources } from "./load.ts";
import { loadConfig } from "./load.ts";
import { printConfig, printedSettings } from "./print.ts";
import { resolveConfig } from "./schema.ts";
import type { Fault } from "./schema.ts";
import { SETTINGS } from "./settings.ts";

const SECRET = "a-secret-of-24-characters";
const spec = { taskId: "digits", model: { tensors: [{ name: "w", shape: [1] }] } };

let cwd: string;
beforeEach(async () => {
  cwd = await mkdtemp(join(tmpdir(), "tributary-config-"));
});
afterEach(async () => rm(cwd, { recursive: true }));

const write = async (name: string, content: string | object) => {
  const text = typeof content === "string" ? content : JSON.stringify(content);
  await writeFile(join(cwd, name), text);
  return join(cwd, name);
};
const load = (sources: Partial<ConfigSources> = {}) =>
  loadConfig({ cwd, env: {}, flags: [], ...sources });
const flag = (path: string, text: string) => ({ path, text, flag: "--set" });

async function refusal(sources: Partial<ConfigSources> = {}): Promise<FederatedError> {
  const error: unknown = await load(sources).then(
    () => new Error("the configuration was accepted"),
    (reason: unknown) => reason,
  );
  if (!isFederatedError(error)) throw error;
  expect(error.code).toBe("CONFIG_INVALID");
  return error;
}
const faultsOf = async (sources: Partial<ConfigSources>) =>
  (await refusal(sources)).details?.faults as Fault[];

test("[CF9] without sources everything is a default", async () => {
  const { config, origins } = await load({ env: { PATH: "/bin", TRIBUTARY_URL: "http://x" } });
  expect(config).toEqual(resolveConfig({ storage: { directory: join(cwd, ".tributary") } }));
  expect(new Set(Object.values(origins))).toEqual(new Set(["default"]));
});

test("[CF9] flags go before environment, environment before file, file before defaults", async () => {
  const file = await write("tributary.config.json", {
    server: { port: 1, host: "127.0.0.2" },
    limits: { maxClients: 1, sseStreams: 1 },
  });
  const { config, origins } = await load({
    env: { TRIBUTARY_SERVER_PORT: "2", TRIBUTARY_LIMITS_MAX_CLIENTS: "2" },
    flags: [flag("server.port", "3"), { path: "server.port", text: "4", flag: "--port" }],
  });
  expect(config.server).toEqual({
    host: "127.0.0.2",
    port: 4,
    trustedProxy: false,
    proxyHops: 1,
    allowedOrigins: [],
    dashboard: true,
    tls: {},
  });
  expect(config.limits).toMatchObject({ maxClients: 2, sseStreams: 1 });
  expect(origins).toMatchObject({
    "server.port": "flag --port",
    "server.host": `file ${file}`,
    "server.trustedProxy": "default",
    "limits.maxClients": "env TRIBUTARY_LIMITS_MAX_CLIENTS",
    "limits.sseStreams": `file ${file}`,
  });
});

test("[CF10] every setting has a variable of its own, and its value takes the setting's type", async () => {
  const names = [...SETTINGS.values()].map(({ environmentName }) => environmentName);
  expect(new Set(names).size).toBe(names.length);
  expect(names).toContain("TRIBUTARY_LIMITS_SSE_HEARTBEAT_MS");
  const { config } = await load({
    env: {
      TRIBUTARY_SERVER_TRUSTED_PROXY: "true",
      TRIBUTARY_STORAGE_KIND: "memory",
      TRIBUTARY_LOG_LEVEL: "debug",
      TRIBUTARY_TIMING_DISCONNECT_GRACE_MS: "250",
      TRIBUTARY_AUTH_ADMIN_TOKEN: "1234567890123456",
      TRIBUTARY_AUTH_CLIENT_TOKEN: SECRET,
    },
  });
  expect(config).toMatchObject({
    server: { trustedProxy: true },
    storage: { kind: "memory" },
    log: { level: "debug" },
    timing: { disconnectGraceMs: 250 },
    auth: { adminToken: "1234567890123456" },
  });
});

test("[CF10] a list comes from one variable or flag, separated by commas", async () => {
  const { config, origins } = await load({
    env: { TRIBUTARY_SERVER_ALLOWED_ORIGINS: "https://a.example, http://localhost:5173" },
  });
  expect(config.server.allowedOrigins).toEqual(["https://a.example", "http://localhost:5173"]);
  expect(origins["server.allowedOrigins"]).toBe("env TRIBUTARY_SERVER_ALLOWED_ORIGINS");
  const none = await load({ flags: [flag("server.allowedOrigins", "")] });
  expect(none.config.server.allowedOrigins).toEqual([]);
  const [fault] = await faultsOf({ flags: [flag("server.allowedOrigins", "https://a.example,*")] });
  expect(fault?.path).toBe("server.allowedOrigins.1");
});

test("[NET7] an open host without TLS is refused from every source", async () => {
  const tokens = {
    TRIBUTARY_AUTH_CLIENT_TOKEN: SECRET,
    TRIBUTARY_AUTH_ADMIN_TOKEN: `${SECRET}-admin`,
  };
  const open = async (sources: Partial<ConfigSources>) =>
    (await faultsOf({ ...sources, env: { ...tokens, ...sources.env } })).map(({ path }) => path);
  const told = ["server.trustedProxy"];
  expect(await open({ env: { TRIBUTARY_SERVER_HOST: "0.0.0.0" } })).toEqual(told);
  expect(await open({ flags: [flag("server.host", "::")] })).toEqual(told);
  await write("tributary.config.json", { server: { host: "192.168.1.7" } });
  expect(await open({})).toEqual(told);
  const env = { ...tokens, TRIBUTARY_SERVER_TRUSTED_PROXY: "true" };
  expect((await load({ env })).config.server.host).toBe("192.168.1.7");
});

test("[CF13] TLS files are meant from where they are named: the config file, or the working directory", async () => {
  const elsewhere = join(cwd, "etc");
  await mkdir(elsewhere);
  await write("etc/tributary.json", {
    server: { tls: { certificateFile: "cert.pem", keyFile: "key.pem" } },
  });
  const { config } = await load({
    configFile: "etc/tributary.json",
    env: { TRIBUTARY_SERVER_TLS_KEY_FILE: "run/key.pem" },
  });
  expect(config.server.tls).toEqual({
    certificateFile: join(elsewhere, "cert.pem"),
    keyFile: join(cwd, "run/key.pem"),
  });
});

test("[CF10] a TRIBUTARY_ variable that is no setting, or no value of its type, is a fault", async () => {
  const faults = await faultsOf({
    env: {
      TRIBUTARY_SERVER_PROT: "1",
      TRIBUTARY_SERVER_PORT: "80 80",
      TRIBUTARY_SERVER_TRUSTED_PROXY: "yes",
      TRIBUTARY_LIMITS_MAX_CLIENTS: "",
      TRIBUTARY_SERVER_HOST_FILE: "/etc/hostname",
    },
  });
  expect(faults.map(({ path }) => path)).toEqual([
    "env TRIBUTARY_SERVER_HOST_FILE",
    "env TRIBUTARY_SERVER_PROT",
    "server.port",
    "server.trustedProxy",
    "limits.maxClients",
  ]);
  expect(faults[2]!.message).toBe('must be an integer, got "80 80" (env TRIBUTARY_SERVER_PORT)');
});

test("[CF11] a secret comes from the environment or the file it names, and is never both", async () => {
  const file = await write("token", `${SECRET}\n`);
  const { config, origins } = await load({ env: { TRIBUTARY_AUTH_CLIENT_TOKEN_FILE: file } });
  expect(config.auth.clientToken).toBe(SECRET);
  expect(origins["auth.clientToken"]).toBe("env TRIBUTARY_AUTH_CLIENT_TOKEN_FILE");
  const both = { TRIBUTARY_AUTH_CLIENT_TOKEN_FILE: file, TRIBUTARY_AUTH_CLIENT_TOKEN: SECRET };
  expect((await refusal({ env: both })).message).toContain("is set as well as");
  const missing = { TRIBUTARY_AUTH_CLIENT_TOKEN_FILE: join(cwd, "none") };
  expect((await refusal({ env: missing })).message).toContain("names a file that cannot be read");
});

test("[CF11] a secret in a config file or on the command line is refused, and not repeated", async () => {
  await write("tributary.config.json", { auth: { adminToken: SECRET } });
  const error = await refusal({ flags: [flag("auth.clientToken", SECRET)] });
  expect(error.message).toMatch(
    /auth\.adminToken is a secret.*set TRIBUTARY_AUTH_ADMIN_TOKEN or TRIBUTARY_AUTH_ADMIN_TOKEN_FILE/,
  );
  expect(error.message).toMatch(/auth\.clientToken is a secret, and command lines can be seen/);
  expect(JSON.stringify(error.toPayload())).not.toContain(SECRET);
});

test.each([
  ["named exports", "export const config: { server: object } = { server: { port: 7 } };"],
  ["a default export", "export default { server: { port: 7 } };"],
  ["a default of both", "export default { config: { server: { port: 7 } } };"],
])("[CF12] a TypeScript config file with %s is read", async (_, text) => {
  await write("tributary.config.ts", text);
  expect((await load()).config.server.port).toBe(7);
});

test("[CF12] a module brings its evaluators along, and none is run while loading", async () => {
  await write(
    "my.config.mjs",
    `export const config = { tasks: [{ spec: ${JSON.stringify({
      ...spec,
      evaluation: { kind: "central", evaluator: "held-out" },
    })} }] };
    export const evaluators = { "held-out": () => { throw new Error("too early"); } };`,
  );
  const { evaluators, config } = await load({ configFile: "my.config.mjs" });
  expect(Object.keys(evaluators)).toEqual(["held-out"]);
  expect(config.tasks).toHaveLength(1);
});

test.each([
  ["neither", "tributary.config.ts", "export const settings = {};", "exports neither"],
  [
    "a wrong evaluator",
    "tributary.config.ts",
    "export const evaluators = { a: 1 };",
    "evaluators.a",
  ],
  ["an error of its own", "tributary.config.js", "throw new Error('boom');", "boom"],
  ["broken JSON", "tributary.config.json", "{", "cannot load"],
  ["no object", "tributary.config.json", "[]", "must be an object"],
  ["a dotted key", "tributary.config.json", '{ "server.port": 1 }', "nest objects"],
  ["a poisoned key", "tributary.config.json", '{ "__proto__": { "server": {} } }', "__proto__"],
  ["a group that is none", "tributary.config.json", '{ "server": 3 }', "server must be an object"],
])("[CF12] a config file with %s is refused", async (_, name, text, words) => {
  await write(name, text);
  expect((await refusal({ env: { TRIBUTARY_SERVER_PORT: "1" } })).message).toContain(words);
});

test("[CF12] a file that is named must be there, and two that are not named are one too many", async () => {
  expect((await refusal({ configFile: "none.json" })).message).toContain("none.json");
  await write("tributary.config.json", {});
  await write("tributary.config.ts", "export const config = {};");
  expect((await refusal()).message).toContain("tributary.config.ts and tributary.config.json");
});

test("[CF13] a configured task is checked in full, under its place in the list", async () => {
  const { faults } = (
    await (async () => {
      await write("tributary.config.json", {
        tasks: [
          { spec },
          { spec: { ...spec, taskId: "b", plan: { epochs: 0 } } },
          { spec: { ...spec, taskId: "c", evaluation: { kind: "central", evaluator: "x" } } },
        ],
      });
      return refusal();
    })()
  ).details as { faults: Fault[] };
  expect(faults).toEqual([
    { path: "tasks.1.spec.plan.epochs", message: "must be >= 1, got 0" },
    {
      path: "tasks.2.spec.evaluation.evaluator",
      message: 'is "x", and the config file exports no evaluators',
    },
  ]);
});

test("[CF13] a file of initial weights is meant from where the config file is", async () => {
  await write("tributary.config.json", { tasks: [{ spec, initialWeightsFile: "w.f32" }] });
  const { config } = await loadConfig({
    cwd: "/",
    env: {},
    flags: [],
    configFile: join(cwd, "tributary.config.json"),
  });
  expect(config.tasks[0]!.initialWeightsFile).toBe(join(cwd, "w.f32"));
});

test("[CF14] another kind of storage leaves the settings of the former behind", async () => {
  await write("tributary.config.json", { storage: { kind: "sqlite", directory: "data" } });
  const { config, origins } = await load({ flags: [flag("storage.kind", "memory")] });
  expect(config.storage).toEqual({ kind: "memory" });
  expect(origins["storage.directory"]).toBeUndefined();
});

test("[CF15] the printed configuration has the origin of each value and conceals secrets", async () => {
  const loaded = await load({
    env: { TRIBUTARY_AUTH_CLIENT_TOKEN: SECRET },
    flags: [flag("server.port", "9000")],
  });
  const text = printConfig(loaded);
  expect(text).toMatch(/^server\.port = 9000 +# flag --set$/m);
  expect(text).toMatch(/^auth\.clientToken = \[concealed\] +# env TRIBUTARY_AUTH_CLIENT_TOKEN$/m);
  expect(text).toMatch(/^server\.host = "127\.0\.0\.1" +# default$/m);
  expect(text + JSON.stringify(printedSettings(loaded))).not.toContain(SECRET);
});

test("[CF10] a flag names a setting that exists", async () => {
  expect(await faultsOf({ flags: [flag("server.prot", "1"), flag("tasks", "[]")] })).toEqual([
    { path: "server.prot", message: "is no setting (flag --set)" },
    { path: "tasks", message: "is no setting (flag --set)" },
  ]);
});

test("[DR10] the encryption key comes from the environment or a file it names, and nowhere else, and is never shown", async () => {
  const key = "0f".repeat(32);
  const file = join(cwd, "key");
  await writeFile(file, `${key}\n`);
  for (const env of [
    { TRIBUTARY_STORAGE_ENCRYPTION_KEY: key, TRIBUTARY_STORAGE_KIND: "sqlite" },
    { TRIBUTARY_STORAGE_ENCRYPTION_KEY_FILE: file, TRIBUTARY_STORAGE_DIRECTORY: "data" },
  ]) {
    const loaded = await load({ env });
    expect(loaded.config.storage).toMatchObject({ kind: "sqlite", encryptionKey: key });
    expect(printConfig(loaded)).not.toContain(key);
    expect(printConfig(loaded)).toContain("storage.encryptionKey = [concealed]");
  }
  const [fromFlag] = await faultsOf({ flags: [flag("storage.encryptionKey", key)] });
  expect(fromFlag).toMatchObject({ path: "storage.encryptionKey" });
  await writeFile(
    join(cwd, "tributary.config.json"),
    JSON.stringify({ storage: { encryptionKey: key } }),
  );
  const [fromFile] = await faultsOf({});
  expect(fromFile).toMatchObject({ path: "storage.encryptionKey" });
  expect(JSON.stringify([fromFlag, fromFile])).not.toContain(key);
});

test("[DR10] a directory and a kind from the environment stand side by side", async () => {
  const { config } = await load({
    env: { TRIBUTARY_STORAGE_DIRECTORY: "data", TRIBUTARY_STORAGE_KIND: "sqlite" },
  });
  expect(config.storage).toEqual({ kind: "sqlite", directory: join(cwd, "data") });
});
