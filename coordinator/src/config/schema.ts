/** The coordinator's settings: one schema with every default and its reason, and the rules across fields. */

import type { TaskSpecInput } from "@tributary/protocol";
import { FederatedError } from "@tributary/protocol";
import * as Type from "typebox";
import * as Value from "typebox/value";

import { AuthSchema, authFaults } from "./auth-schema.ts";

/** Longest span that may be configured: seven days, well below the 2^31 ms where timers overflow. */
export const MAX_SPAN_MS = 7 * 24 * 3_600_000;

/** One thing that is wrong with a setting. */
export interface Fault {
  /** Where: `server.port`, `tasks.0.spec`; empty for the whole. */
  readonly path: string;
  readonly message: string;
}

const group = <P extends Type.TProperties>(properties: P) =>
  Type.Object(properties, { additionalProperties: false, default: {} });
const spanMs = (defaultMs: number, minimum = 0) =>
  Type.Integer({ minimum, maximum: MAX_SPAN_MS, default: defaultMs });
const MAX_COUNT = 2 ** 31 - 1;
const count = (defaultCount: number, minimum = 1) =>
  Type.Integer({ minimum, maximum: MAX_COUNT, default: defaultCount });

const privateKey = () =>
  Type.Optional(
    Type.String({
      pattern: "^\\s*-----BEGIN PRIVATE KEY-----[A-Za-z0-9+/=\\s]+-----END PRIVATE KEY-----\\s*$",
      rule: "must be an Ed25519 private key in PKCS #8 PEM (-----BEGIN PRIVATE KEY-----)",
      writeOnly: true,
    }),
  );

/** 256 bits, as `openssl rand -hex 32` or `openssl rand -base64 32` make them. */
const encryptionKey = () =>
  Type.Optional(
    Type.String({
      pattern: "^([0-9a-fA-F]{64}|[A-Za-z0-9+/_-]{43}=?)$",
      rule: "must be 32 bytes, as 64 hexadecimal digits or as base64: openssl rand -hex 32",
      writeOnly: true,
    }),
  );

export const ConfigSchema = group({
  server: group({
    // Loopback: nothing is reachable from outside until somebody decides that it is.
    host: Type.String({ minLength: 1, default: "127.0.0.1" }),
    // 8080: the customary unprivileged HTTP port. 0 lets the system choose.
    port: Type.Integer({ minimum: 0, maximum: 65_535, default: 8080 }),
    // Absent: plain HTTP, which is enough on one machine and behind a proxy. PEM; renewed files are taken
    // up while running.
    tls: group({
      /** Our own certificate first, then those that link it to its authority. */
      certificateFile: Type.Optional(Type.String({ minLength: 1 })),
      keyFile: Type.Optional(Type.String({ minLength: 1 })),
    }),
    // False: only the operator can say that a proxy in front adds TLS and tells the clients' addresses.
    trustedProxy: Type.Boolean({ default: false }),
    // Which entry of X-Forwarded-For is the client's address, counted from the right: each of our own
    // proxies appends one. 1: one proxy is the common case; more would believe what clients write.
    proxyHops: Type.Integer({ minimum: 1, maximum: 16, default: 1 }),
    // Empty: no page of another origin reads or sends anything. Each is named in full, as browsers write
    // it; a pattern or "*" would let in pages that nobody thought of.
    allowedOrigins: Type.Array(Type.String({ minLength: 1 }), { default: [] }),
    // True: the page at /dashboard holds no data, and what it asks for asks for tokens as ever.
    dashboard: Type.Boolean({ default: true }),
  }),
  storage: Type.Union(
    [
      Type.Object({ kind: Type.Literal("memory") }, { additionalProperties: false }),
      Type.Object(
        {
          kind: Type.Literal("sqlite"),
          // Beside the program, where it is found again; a hidden name, as it is not the user's data.
          directory: Type.String({ minLength: 1, default: "./.tributary" }),
          // Absent: there is no good place to guess, as it should be on another disk. Over HTTP only a
          // name below it can be chosen.
          backupDirectory: Type.Optional(Type.String({ minLength: 1 })),
          // No default: a key that lies beside what it locks protects nothing, so the operator must have one.
          encryptionKey: encryptionKey(),
          // Only while the key is being changed: until one start has brought everything under the new one.
          previousEncryptionKey: encryptionKey(),
        },
        { additionalProperties: false },
      ),
    ],
    // SQLite: a coordinator that forgets its model and its privacy ledger must be asked for.
    { default: {}, preset: "sqlite" },
  ),
  retention: group({
    // Absent: every round stays. What is deleted cannot be had back, so it must be asked for; a round of
    // a hundred clients takes about 10 KB. At least 10: a client that comes back late must still learn
    // that its update was counted.
    rounds: Type.Optional(Type.Integer({ minimum: 10, maximum: 2 ** 31 - 1 })),
    // Absent: every version stays, with its bytes. At least 2: clients still train on the newest but one,
    // and their evaluation belongs to it.
    modelVersions: Type.Optional(Type.Integer({ minimum: 2, maximum: 2 ** 31 - 1 })),
  }),
  auth: AuthSchema,
  // No keys by default: the coordinator makes its own and keeps it with its data.
  signing: group({
    /** The key that signs models, where it is kept elsewhere: PKCS #8 PEM, Ed25519. */
    privateKey: privateKey(),
    /** For one start after `privateKey` has changed: hands over to it, so that clients can follow. */
    previousPrivateKey: privateKey(),
  }),
  limits: group({
    // Every client's socket, and as many connections for what they fetch and send meanwhile. Each is a
    // file descriptor: the process must be allowed as many (`ulimit -n`). One more is closed unread.
    maxConnections: count(20_000),
    // An idle connection costs about 15 KB, so these are 150 MB at most.
    maxClients: count(10_000),
    // An address is no person: behind one NAT of a campus or a carrier are thousands. But it may be one
    // attacker, so half of all clients' places stay out of any single address's reach. Lower it where the
    // clients' networks are known; raise it where all come from one.
    connectionsPerAddress: count(5_000),
    // An app in some tabs or processes at once, and connections that died and are not known to be dead yet
    // (that takes 45 s).
    connectionsPerClient: count(16),
    // From the open connection to the client's first message with its credentials: one round trip, and a slow
    // phone's computing. Common values are 10 to 60 s.
    handshakeTimeoutMs: spanMs(10_000, 100),
    // From the open connection to the end of a request's head, which fits into one packet or two.
    headersTimeoutMs: spanMs(10_000, 100),
    // Of each rate ten seconds' worth may come at once. This one: a round that begins brings two requests of
    // each of 10 000 clients behind one address; a refusal costs about as much as an answer that is small.
    requestsPerSecondPerAddress: count(2000),
    // Wrong tokens and keys; beyond it the address must wait, whoever else is behind it. Enough for clients
    // whose tokens ran out together, while the shortest token allowed takes longer than the sun has left.
    failedAuthenticationsPerSecondPerAddress: count(10),
    // Of one connection. A client says two or three things in a round; in-process rounds take 10 ms.
    messagesPerSecond: count(100),
    // Of all clients: one takes less than 0.1 ms, so half of one core at most. Ten seconds' worth at once
    // is every client five times over, as after a restart.
    checkInsPerSecond: count(5000),
    // One in each round of each task, and in-process rounds take 10 ms.
    checkInsPerSecondPerClient: count(100),
    // Clients without a socket that wait for a place at the same time: about 21 KB each, and a connection. Who finds
    // all places taken is told when to come back. One address may have all of them, and what it has beyond half gives
    // way to others.
    heldCheckIns: count(5000),
    // Places in cohorts of one task in a day of UTC, counted when they are given, whatever becomes of the round:
    // for the load on a device, and for how often one client can pull at one model. Absent, for how many
    // are right goes by the task: a demonstration has a hundred rounds in a minute, phones have one a day.
    roundsPerClientPerDay: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000 })),
    // The largest client message is below 1 KB; 16 KiB leaves room and bounds what a peer can buffer.
    maxMessageBytes: count(16_384, 1024),
    // A task with a thousand tensors takes about 100 KB of JSON.
    maxBodyBytes: count(1_048_576, 1024),
    // Absent: the size of the task's own model is the limit, which is tighter than any constant.
    maxUpdateBytes: Type.Optional(Type.Integer({ minimum: 64, maximum: 2 ** 32 })),
    // Each upload holds one model in memory: 32 of a 1 M-parameter model are 128 MB. One at a time
    // saturates a core from a fast client; the rest is for slow ones.
    concurrentUploads: count(32),
    // A waiting request costs a few KB; beyond a thousand, "try again later" is the better answer.
    queuedUploads: count(1024, 0),
    // Of all bodies that are being read or added up. 64 of 4 MB: for small models the number of uploads is
    // the limit that counts, for large ones this. One that is larger than all of it is read alone.
    uploadMemoryBytes: Type.Integer({ minimum: 1024, maximum: 2 ** 40, default: 268_435_456 }),
    // Of the updates that tasks with a robust aggregation keep until a round is aggregated, all such tasks together:
    // a cohort of 250 of a 1 M-parameter model. A task for which it is too little is not created.
    robustMemoryBytes: Type.Integer({ minimum: 1024, maximum: 2 ** 40, default: 1_073_741_824 }),
    // 4 MB over a 1 Mbit/s uplink take 34 s; three times that, so that the slow are not lost.
    uploadTimeoutMs: spanMs(120_000, 1000),
    // 64 kbit/s, below the slowest mobile networks that are still in use (EDGE). Who sends or takes less has
    // gone, or holds a place on purpose.
    minUploadBytesPerSecond: count(8192),
    minDownloadBytesPerSecond: count(8192),
    // A change of networks or some packets lost in a row (TCP waits 1 + 2 + 4 s) are nobody's fault.
    slowPeerGraceMs: spanMs(10_000, 100),
    // Each stream is a socket and a queue; dashboards and terminals are few. Of clients together, and again of
    // viewers and operators.
    sseStreams: count(100, 0),
    // Below the 30 to 60 s after which common proxies cut a silent connection.
    sseHeartbeatMs: spanMs(15_000, 100),
    // About a thousand events: a reader that is further behind is better off asking anew.
    sseBufferBytes: count(1_048_576, 1024),
  }),
  timing: group({
    // A client that changes networks is back within seconds; longer would only hold the round up.
    disconnectGraceMs: spanMs(10_000),
    // How long a check-in by HTTP waits for a place: long enough that clients who are told to meet do, and well below
    // the 30 s after which common proxies and platforms of functions cut a request without an answer.
    checkInHoldMs: Type.Integer({ minimum: 500, maximum: 60_000, default: 10_000 }),
    // Below the 30 s after which process supervisors usually kill.
    shutdownGraceMs: spanMs(10_000),
    // First rest after an abandoned round; doubles with each in a row, up to 32 times as long, so that
    // a lack of clients does not become a stream of empty rounds.
    abandonedRetryMs: spanMs(1000, 1),
  }),
  events: group({
    // About 1 KB each: a viewer may be away for hundreds of rounds and miss nothing.
    remember: count(10_000, 0),
  }),
  checkpoints: group({
    // The newest is asked for by all, the few before it by clients that are still in a round.
    keepInMemory: count(4),
    // What clients that have a former version get instead of the newest: twenty or so of a model of 1 M parameters.
    // Of models larger than this none are made. 0 turns them off.
    deltaMemoryBytes: count(64 * 2 ** 20, 0),
  }),
  log: group({
    // Info: one line for each change of phase. Debug adds one for each client message.
    level: Type.Enum(["debug", "info", "warn", "error", "silent"], { default: "info" }),
  }),
  // Created at start when the store has no task of that id; never changed once they exist.
  tasks: Type.Array(
    Type.Object(
      {
        // Checked in full by `task/spec.ts`, which knows its rules.
        spec: Type.Unsafe<TaskSpecInput>(Type.Object({})),
        /** Raw little-endian float32 in layout order; relative to the file that names it. */
        initialWeightsFile: Type.Optional(Type.String({ minLength: 1 })),
      },
      { additionalProperties: false },
    ),
    { default: [] },
  ),
});

type DeepReadonly<T> = T extends readonly (infer E)[]
  ? readonly DeepReadonly<E>[]
  : T extends object
    ? { readonly [K in keyof T]: DeepReadonly<T[K]> }
    : T;
type Settings = DeepReadonly<Type.Static<typeof ConfigSchema>>;
/** Every setting, filled in. */
export interface Config extends Omit<Settings, "tasks"> {
  readonly tasks: readonly ConfiguredTask[];
}

/** A task of the configuration, with the file of its first weights (absent: zeros). */
export interface ConfiguredTask {
  readonly spec: TaskSpecInput;
  readonly initialWeightsFile?: string;
}

type Loose<T> = {
  readonly [K in keyof T]?: (T[K] extends object ? Loose<T[K]> : T[K]) | undefined;
};
/** Settings as they may be written: everything has a default. */
export type ConfigInput = {
  readonly [K in Exclude<keyof Config, "storage">]?: Config[K] extends readonly unknown[]
    ? Config[K]
    : Loose<Config[K]>;
} & {
  readonly storage?:
    | { readonly kind: "memory" }
    | {
        readonly kind?: "sqlite";
        readonly directory?: string;
        readonly backupDirectory?: string;
        readonly encryptionKey?: string | undefined;
        readonly previousEncryptionKey?: string | undefined;
      };
};

/**
 * Fills in every default and checks every value. Resolving a resolved config changes nothing.
 * @returns a frozen object
 * @throws FederatedError CONFIG_INVALID, with all faults in `details.faults`
 */
export function resolveConfig(input: unknown): Config {
  const faults: Fault[] = [];
  const config = fillIn(ConfigSchema, input, faults) as Config | undefined;
  faults.push(...crossFaults(config ?? {}));
  assertNoFaults("the configuration", faults);
  return config as Config;
}

function limitFaults({ maxClients, maxConnections }: Partial<Config["limits"]>): Fault[] {
  const clients = Number(maxClients);
  if (!(Number(maxConnections) < clients && clients <= MAX_COUNT)) return [];
  const message = `is ${maxConnections}, and every one of limits.maxClients = ${maxClients} needs a connection: set it to ${2 * clients}, say`;
  return [{ path: "limits.maxConnections", message }];
}

/** Can only this machine reach an address of this host? */
export const isLoopback = (host: string): boolean =>
  host === "localhost" ||
  host === "::1" ||
  /^127(\.(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)){3}$/.test(host);

function storageFaults(storage: Config["storage"] | undefined): Fault[] {
  if (storage?.kind !== "sqlite" || storage.previousEncryptionKey === undefined) return [];
  const path = "storage.previousEncryptionKey";
  if (storage.encryptionKey === undefined) {
    const message =
      "is set without storage.encryptionKey: encrypted data cannot become plain, so set the key that is to follow";
    return [{ path, message }];
  }
  if (storage.encryptionKey !== storage.previousEncryptionKey) return [];
  const message =
    "equals storage.encryptionKey: leave it away, or set the new key as storage.encryptionKey";
  return [{ path, message }];
}

/** Rules across fields. Parts that are wrong in themselves may be missing, and are passed over. */
function crossFaults({ server, storage, auth, limits, tasks }: Partial<Config>): Fault[] {
  const faults: Fault[] = [];
  const tls: Config["server"]["tls"] | undefined = server?.tls;
  const isOpen = typeof server?.host === "string" && !isLoopback(server.host);
  const open = `server.host is "${server?.host}", which others can reach`;
  // A proxy in front is there to be reached: what listens behind it on loopback is as open as any other.
  const proxied = server?.trustedProxy === true ? "server.trustedProxy is true" : undefined;
  faults.push(...authFaults(isRecord(auth) ? auth : {}, isOpen ? open : proxied));
  faults.push(...storageFaults(storage));
  faults.push(...limitFaults(isRecord(limits) ? limits : {}));
  if (isOpen) {
    if (!server.trustedProxy && tls?.certificateFile === undefined) {
      const message = `is false, while ${open} without TLS: name server.tls.certificateFile and server.tls.keyFile, or put a proxy that terminates TLS in front and set it to true, or keep server.host at 127.0.0.1`;
      faults.push({ path: "server.trustedProxy", message });
    }
  }
  for (const [name, other] of [
    ["certificateFile", "keyFile"],
    ["keyFile", "certificateFile"],
  ] as const) {
    if (tls?.[name] !== undefined || tls?.[other] === undefined) continue;
    const message = `is not set, while server.tls.${other} is: TLS needs both`;
    faults.push({ path: `server.tls.${name}`, message });
  }
  faults.push(...originFaults(server?.allowedOrigins));
  const first = new Map<unknown, number>();
  for (const [index, task] of (Array.isArray(tasks) ? tasks : []).entries()) {
    const spec = isRecord(task) ? task.spec : undefined;
    if (!isRecord(spec) || spec.taskId === undefined) continue;
    const earlier = first.get(spec.taskId);
    if (earlier === undefined) first.set(spec.taskId, index);
    else {
      const message = `is ${show(spec.taskId)}, as tasks.${earlier}.spec.taskId is: ids are unique`;
      faults.push({ path: `tasks.${index}.spec.taskId`, message });
    }
  }
  return faults;
}

/** An origin is compared as text, so it must be written as browsers write it. */
function originFaults(origins: unknown): Fault[] {
  return (Array.isArray(origins) ? origins : []).flatMap((origin: unknown, index) => {
    if (typeof origin !== "string") return [];
    const url = URL.canParse(origin) ? new URL(origin) : undefined;
    const web = url?.protocol === "https:" || url?.protocol === "http:" ? url.origin : undefined;
    if (web === origin && !origin.includes("*")) return [];
    const example = web !== undefined && web !== origin ? web : "https://app.example";
    const message = `is ${show(origin)}, which is no origin: write it like ${example}, without path and pattern`;
    return [{ path: `server.allowedOrigins.${index}`, message }];
  });
}

/** @throws FederatedError CONFIG_INVALID unless `faults` is empty */
export function assertNoFaults(what: string, faults: readonly Fault[]): void {
  if (faults.length === 0) return;
  const all = faults.map(({ path, message }) => (path === "" ? message : `${path} ${message}`));
  throw new FederatedError("CONFIG_INVALID", `${what} is not valid: ${all.join("; ")}`, {
    details: { faults: [...faults] },
  });
}

/**
 * `input` with the schema's defaults, made of new frozen objects; adds what is wrong to `faults`.
 * Of a union of objects, the member with the same literal (`kind`, `mechanism`) is meant, so that
 * its own faults are told and not those of its neighbours; `preset` stands in for a missing literal.
 * The result is good only without faults.
 */
export function fillIn(schema: Type.TSchema, input: unknown, faults: Fault[], path = ""): unknown {
  const value = input === undefined && "default" in schema ? schema.default : input;
  const fault = (message: string, at = path): unknown => {
    faults.push({ path: at, message });
    return undefined;
  };
  if (value === undefined) return fault("is required");
  if (Type.IsUnion(schema) && schema.anyOf.every(Type.IsObject)) {
    if (!isRecord(value)) return fault(`must be an object, got ${show(value)}`);
    const member = chooseMember(schema, value, faults, path);
    return member && fillIn(member.schema, member.value, faults, path);
  }
  if (Type.IsObject(schema) && "additionalProperties" in schema) {
    if (!isRecord(value)) return fault(`must be an object, got ${show(value)}`);
    const { properties } = schema as Type.TObject<Record<string, Type.TSchema>>;
    for (const key of Object.keys(value)) {
      if (Object.hasOwn(properties, key)) continue;
      const known = Object.keys(properties).join(", ");
      fault(`is unknown; known here: ${known}`, join(path, key.slice(0, 60)));
    }
    const filled: Record<string, unknown> = {};
    for (const [key, property] of Object.entries(properties)) {
      const given = Object.hasOwn(value, key) ? value[key] : undefined;
      if (given === undefined && Type.IsOptional(property)) continue;
      filled[key] = fillIn(property, given, faults, join(path, key));
    }
    return Object.freeze(filled);
  }
  if (Type.IsArray(schema) && Array.isArray(value)) {
    const least = "minItems" in schema ? Number(schema.minItems) : 0;
    if (value.length < least) fault(`must have at least ${least} entries, got ${value.length}`);
    // Not `map`, which passes over the holes of an array.
    const entries = Array.from(value, (e, i) =>
      fillIn(schema.items, e, faults, join(path, `${i}`)),
    );
    return Object.freeze(entries);
  }
  const [error] = Value.Errors(schema, value);
  if (error !== undefined) {
    const rule = "rule" in schema ? String(schema.rule) : ruleOf(schema, error.message);
    fault("writeOnly" in schema ? rule : `${rule}, got ${show(value)}`);
    // An object where a number or a text belongs is more than the rules across fields are ready for.
    if (typeof value === "object") return undefined;
  }
  return value;
}

function chooseMember(
  schema: Type.TUnion,
  value: Record<string, unknown>,
  faults: Fault[],
  path: string,
): { schema: Type.TSchema; value: unknown } | undefined {
  const members = schema.anyOf as Type.TObject<Record<string, Type.TSchema>>[];
  const literal = (member: (typeof members)[number], name: string) => {
    const property = member.properties[name];
    return property !== undefined && Type.IsLiteral(property) ? property.const : undefined;
  };
  const names = Object.keys(members[0]?.properties ?? {});
  const name = names.find((key) => members.every((member) => literal(member, key) !== undefined));
  if (name === undefined)
    throw new Error("a union of objects needs a literal that tells them apart");
  const preset = "preset" in schema ? schema.preset : undefined;
  const wanted = (Object.hasOwn(value, name) ? value[name] : undefined) ?? preset;
  const member = members.find((candidate) => literal(candidate, name) === wanted);
  if (member !== undefined) return { schema: member, value: { ...value, [name]: wanted } };
  const allowed = members.map((candidate) => JSON.stringify(literal(candidate, name))).join(", ");
  const got = wanted === undefined ? "is required:" : `is ${show(wanted)}, must be`;
  faults.push({ path: join(path, name), message: `${got} one of ${allowed}` });
  return undefined;
}

function ruleOf(schema: Type.TSchema, message: string): string {
  if (!Type.IsUnion(schema)) {
    return message
      .replace(/^must be (?=[aio])/, "must be an ")
      .replace(/^must be (?=[a-z]+$)/, "must be a ");
  }
  const literals = schema.anyOf.filter(Type.IsLiteral);
  return `must be one of ${literals.map((literal) => JSON.stringify(literal.const)).join(", ")}`;
}

const join = (path: string, key: string): string => (path === "" ? key : `${path}.${key}`);
const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** A value as a message may show it: short, and never what is inside an object. */
function show(value: unknown): string {
  if (typeof value === "string") {
    // The password of a URL is one, whatever the setting.
    return JSON.stringify(value.replace(/\/\/[^/@\s]*@/g, "//[concealed]@").slice(0, 60));
  }
  if (Array.isArray(value)) return `an array of ${value.length}`;
  return typeof value === "object" && value !== null ? "an object" : String(value);
}
