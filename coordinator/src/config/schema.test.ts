import { generateKeyPairSync } from "node:crypto";

import type { FederatedError } from "@tributary/protocol";
import { isFederatedError } from "@tributary/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";

import type { ConfigInput, Fault } from "./schema.ts";
import { resolveConfig } from "./schema.ts";
import { SETTINGS } from "./settings.ts";

const CLIENT = "client-token-0123456789";
const ADMIN = "admin-token-0123456789";
const spec = (taskId: string) => ({ taskId, model: { tensors: [{ name: "w", shape: [1] }] } });

function refusal(input: unknown): FederatedError {
  try {
    resolveConfig(input);
  } catch (error) {
    if (isFederatedError(error)) return error;
    throw error;
  }
  throw new Error("the configuration was accepted");
}
const faultsOf = (input: unknown) => refusal(input).details?.faults as Fault[];
/** `{ a: { b: value } }` of "a.b". */
const nested = (path: string, value: unknown): unknown =>
  path.split(".").reduceRight((inner: unknown, key) => ({ [key]: inner }), value);
const pathsOf = (input: unknown) => faultsOf(input).map(({ path }) => path);

test("[CF1] without any setting there is a complete configuration that only this machine can reach", () => {
  expect(resolveConfig({})).toMatchObject({
    server: { host: "127.0.0.1", port: 8080, trustedProxy: false },
    storage: { kind: "sqlite", directory: "./.tributary" },
    auth: {},
    log: { level: "info" },
    tasks: [],
  });
  const complete = (value: unknown): boolean =>
    typeof value === "object" && value !== null
      ? Object.values(value).every(complete)
      : value !== undefined;
  expect(complete(resolveConfig({}))).toBe(true);
});

test("[CF2] a resolved configuration is frozen, resolves to itself and leaves the input alone", () => {
  const input: ConfigInput = { server: { port: 0 }, tasks: [{ spec: spec("a") }] };
  const config = resolveConfig(input);
  expect(resolveConfig(config)).toEqual(config);
  expect(Object.isFrozen(config) && Object.isFrozen(config.limits)).toBe(true);
  expect(Object.isFrozen(config.tasks)).toBe(true);
  expect(Object.isFrozen(input.server)).toBe(false);
});

test("[CF3] all faults are told at once, unknown keys and rules across fields among them", () => {
  const error = refusal({
    server: { host: "0.0.0.0", port: 65_536, prot: 1 },
    storage: { kind: "memory", directory: "x" },
    limits: 3,
    events: { remember: 1.5 },
    log: { level: "loud" },
    tasks: [{ spec: 1 }, { spec: spec("a"), weights: "w" }],
    sever: {},
  });
  expect(error.code).toBe("CONFIG_INVALID");
  expect((error.details?.faults as Fault[]).map(({ path }) => path).sort()).toEqual([
    "auth.adminToken",
    "auth.clientToken",
    "events.remember",
    "limits",
    "log.level",
    "server.port",
    "server.prot",
    "server.trustedProxy",
    "sever",
    "storage.directory",
    "tasks.0.spec",
    "tasks.1.weights",
  ]);
  expect(error.message).toContain("server.port must be <= 65535, got 65536");
});

test.each([
  "0.0.0.0",
  "::",
  "192.168.1.7",
  "coordinator.example",
  "127.0.0.1.example",
  "128.0.0.1",
])("[CF4] host %s, which others can reach, needs both tokens and a proxy with TLS", (host) => {
  const auth = { clientToken: CLIENT, adminToken: ADMIN };
  expect(pathsOf({ server: { host } })).toEqual([
    "auth.clientToken",
    "auth.adminToken",
    "server.trustedProxy",
  ]);
  expect(faultsOf({ server: { host }, auth })).toEqual([
    {
      path: "server.trustedProxy",
      message: expect.stringContaining(`false, while server.host is "${host}"`) as string,
    },
  ]);
  const { server } = resolveConfig({ server: { host, trustedProxy: true }, auth });
  expect(server.host).toBe(host);
});

test.each([
  "0.0.0.0",
  "::",
  "::ffff:127.0.0.1",
  "10.0.0.7",
  "fe80::1",
  "coordinator.example",
  "localhost.example",
  "LOCALHOST",
  "127.0.0.256",
  "127.1",
  "2130706433",
])(
  "[NET7] host %j, which may be reached by others, needs TLS files or a proxy that says so",
  (host) => {
    const auth = { clientToken: CLIENT, adminToken: ADMIN };
    const [fault, ...others] = faultsOf({ server: { host }, auth });
    expect(others).toEqual([]);
    expect(fault!.path).toBe("server.trustedProxy");
    expect(fault!.message).toContain("server.tls.certificateFile");
    const tls = { certificateFile: "cert.pem", keyFile: "key.pem" };
    expect(resolveConfig({ server: { host, tls }, auth }).server.tls).toEqual(tls);
    expect(resolveConfig({ server: { host, trustedProxy: true }, auth }).server.host).toBe(host);
  },
);

test("[CF3] a TLS setting that is no object is a fault like any other", () => {
  expect(pathsOf({ server: { tls: 3 } })).toEqual(["server.tls"]);
});

test("[CF4] a proxy in front of loopback lets others in, so it needs both tokens, too", () => {
  const server = { host: "127.0.0.1", trustedProxy: true };
  const auth = { clientToken: CLIENT, adminToken: ADMIN };
  expect(pathsOf({ server })).toEqual(["auth.clientToken", "auth.adminToken"]);
  expect(pathsOf({ server, auth: { adminToken: ADMIN } })).toEqual(["auth.clientToken"]);
  expect(resolveConfig({ server, auth }).server.trustedProxy).toBe(true);
});

test("[NET8] of certificate and key none stands without the other", () => {
  expect(faultsOf({ server: { tls: { keyFile: "key.pem" } } })).toEqual([
    {
      path: "server.tls.certificateFile",
      message: "is not set, while server.tls.keyFile is: TLS needs both",
    },
  ]);
  expect(pathsOf({ server: { tls: { certificateFile: "cert.pem" } } })).toEqual([
    "server.tls.keyFile",
  ]);
});

test.each(["127.0.0.1", "127.1.2.3", "::1", "localhost"])("[CF4] %s needs no token", (host) => {
  const { auth } = resolveConfig({ server: { host } });
  expect([auth.clientToken, auth.adminToken]).toEqual([undefined, undefined]);
});

test.each(["too-short", "with space 0123456789", "ümlaut-0123456789"])(
  "[CF5] the weak token %j is refused, and no message repeats it",
  (token) => {
    const error = refusal({ auth: { clientToken: token } });
    expect(error.message).toContain("auth.clientToken must be 16 or more");
    expect(JSON.stringify(error.toPayload())).not.toContain(token);
  },
);

test("[CF5] one token for clients and admins is refused, and not repeated", () => {
  const error = refusal({ auth: { clientToken: CLIENT, adminToken: CLIENT } });
  expect(error.message).toContain("auth.adminToken equals auth.clientToken");
  expect(JSON.stringify(error.toPayload())).not.toContain(CLIENT);
});

test("[CF6] a storage directory alone means SQLite; an unknown kind is told with the known ones", () => {
  expect(resolveConfig({ storage: { directory: "/data" } }).storage).toEqual({
    kind: "sqlite",
    directory: "/data",
  });
  expect(faultsOf({ storage: { kind: "postgres" } })).toEqual([
    { path: "storage.kind", message: 'is "postgres", must be one of "memory", "sqlite"' },
  ]);
});

test("[CF7] two configured tasks of one id are refused with both places", () => {
  expect(
    faultsOf({ tasks: [{ spec: spec("a") }, { spec: spec("b") }, { spec: spec("a") }] }),
  ).toEqual([
    { path: "tasks.2.spec.taskId", message: 'is "a", as tasks.0.spec.taskId is: ids are unique' },
  ]);
});

test("[CF8] every span and count has an upper end, so that no timer overflows", () => {
  const numbers = [...SETTINGS.values()].filter(({ schema }) => "minimum" in schema);
  expect(numbers.length).toBeGreaterThan(12);
  for (const { path } of numbers) {
    const name = path.split(".").at(-1) ?? "";
    expect(new Set(pathsOf(nested(path, 2 ** 53)))).toEqual(new Set([path]));
    expect(new Set(pathsOf(nested(path, -1)))).toEqual(new Set([path]));
    if (!name.endsWith("Ms")) continue;
    expect(pathsOf(nested(path, 7 * 86_400_000 + 1))).toEqual([path]);
  }
});

test("[CF3] whatever is given, it is a configuration or its faults, never another error", () => {
  const keys = [
    "server",
    "storage",
    "auth",
    "limits",
    "tasks",
    "kind",
    "host",
    "spec",
    "__proto__",
  ];
  const leaf = fc.oneof(
    fc.anything({ maxDepth: 1 }),
    fc.constantFrom<unknown>("memory", 1, [null]),
  );
  const input = fc.oneof(
    fc.anything(),
    fc.dictionary(
      fc.constantFrom(...keys),
      fc.oneof(leaf, fc.dictionary(fc.constantFrom(...keys), leaf)),
    ),
    fc.record({ tasks: fc.array(fc.oneof(leaf, fc.record({ spec: leaf }))) }),
  );
  fc.assert(
    fc.property(input, (value) => {
      let config;
      try {
        config = resolveConfig(value);
      } catch (error) {
        expect(isFederatedError(error) && error.code).toBe("CONFIG_INVALID");
        return;
      }
      expect(resolveConfig(config)).toEqual(config);
    }),
    { numRuns: 500 },
  );
});

test("[NET3] allowed origins are whole origins as browsers write them; each other one is a fault", () => {
  const allowedOrigins = ["https://app.example", "http://localhost:5173", "https://[::1]:8443"];
  expect(resolveConfig({ server: { allowedOrigins } }).server.allowedOrigins).toEqual(
    allowedOrigins,
  );
  expect(resolveConfig({}).server.allowedOrigins).toEqual([]);
  const wrong = [
    "*",
    "null",
    "https://*.app.example",
    "https://app.example/",
    "https://app.example/page",
    "https://App.example",
    "https://app.example:443",
    "app.example",
    "capacitor://localhost",
    "https://user@app.example",
  ];
  const faults = faultsOf({ server: { allowedOrigins: wrong } });
  expect(faults.map(({ path }) => path)).toEqual(wrong.map((_, i) => `server.allowedOrigins.${i}`));
});

test("[DR10] an encryption key is 32 bytes, as digits or base64; anything else is refused and not repeated", () => {
  const bytes = Buffer.alloc(32, 0xfb);
  for (const encryptionKey of [
    bytes.toString("hex"),
    bytes.toString("hex").toUpperCase(),
    bytes.toString("base64"),
    bytes.toString("base64url"),
  ]) {
    expect(resolveConfig({ storage: { encryptionKey } }).storage).toMatchObject({ encryptionKey });
  }
  for (const encryptionKey of ["correct horse battery staple", "ab".repeat(31), "", 7]) {
    const faults = faultsOf({ storage: { encryptionKey } });
    expect(faults.map(({ path }) => path)).toEqual(["storage.encryptionKey"]);
    expect(faults[0]?.message).toContain("openssl rand -hex 32");
    if (encryptionKey !== "") expect(JSON.stringify(faults)).not.toContain(String(encryptionKey));
  }
});

test("[DR10] a previous key needs one that follows, and another", () => {
  const key = "0f".repeat(32);
  for (const storage of [
    { previousEncryptionKey: key },
    { encryptionKey: key, previousEncryptionKey: key },
  ]) {
    expect(faultsOf({ storage }).map(({ path }) => path)).toEqual([
      "storage.previousEncryptionKey",
    ]);
  }
});

test("[LIM4] more clients than connections are refused with both numbers", () => {
  const [fault] = faultsOf({ limits: { maxClients: 30_000 } });
  expect(fault).toMatchObject({ path: "limits.maxConnections" });
  expect(fault?.message).toMatch(/is 20000, .* limits.maxClients = 30000 .* 60000/);
  expect(resolveConfig({ limits: { maxClients: 30_000, maxConnections: 30_000 } })).toBeDefined();
});

test("[SIG15] a signing key is a private key in PEM; anything else is refused and not repeated", () => {
  const { privateKey: key } = generateKeyPairSync("ed25519");
  const pem = key.export({ type: "pkcs8", format: "pem" }) as string;
  for (const name of ["privateKey", "previousPrivateKey"]) {
    expect(resolveConfig({ signing: { [name]: pem } }).signing).toEqual({ [name]: pem });
    const body = pem.split("\n")[1] ?? "";
    for (const wrong of [body, pem.replaceAll("PRIVATE", "PUBLIC"), pem.slice(0, 60)]) {
      const faults = faultsOf({ signing: { [name]: wrong } });
      expect(faults.map(({ path }) => path)).toEqual([`signing.${name}`]);
      expect(faults[0]?.message).toContain("PKCS #8 PEM");
      expect(JSON.stringify(faults)).not.toContain(body.slice(0, 20));
    }
    expect(SETTINGS.get(`signing.${name}`)?.secret).toBe(true);
  }
});
