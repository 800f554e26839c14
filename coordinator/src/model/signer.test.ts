import { execFileSync } from "node:child_process";
import { generateKeyPairSync, verify } from "node:crypto";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { Digest, PublicKey, TaskId } from "@tributary/protocol";
import { createLayout, followKeys, openManifest } from "@tributary/protocol";
import { expect, test } from "vitest";

import { systemClock } from "../clock.ts";
import type { Store, TaskRecord } from "../ports.ts";
import { sampledGaussian } from "../privacy/charge.ts";
import { createSecureRandom } from "../privacy/random.ts";
import { createMemoryStore } from "../storage/memory.ts";
import { onConnection } from "../storage/sqlite-database.ts";
import { loadSqliteDriver } from "../storage/sqlite-driver.ts";
import { migrate } from "../storage/sqlite-schema.ts";
import { createSqliteStore } from "../storage/sqlite.ts";
import { resolveTaskSpec } from "../task/spec.ts";
import { manifestOf } from "./manifest.ts";
import type { ModelSigner, SignerOptions } from "./signer.ts";
import { openSigner } from "./signer.ts";

const invalid = (words: string): unknown =>
  expect.objectContaining({ code: "CONFIG_INVALID", message: expect.stringContaining(words) });

const open = (store: Store, options: SignerOptions = {}): Promise<ModelSigner> =>
  openSigner({ store, clock: systemClock, random: createSecureRandom() }, options);

async function taskOf(name: string): Promise<TaskRecord> {
  const spec = resolveTaskSpec({ taskId: name, model: { tensors: [{ name: "w", shape: [2] }] } });
  const layout = await createLayout(spec.model.tensors);
  return { taskId: spec.taskId, spec, layout, state: "running", createdAt: 5 };
}

const initialOf = (taskId: TaskId) => ({
  taskId,
  modelVersion: 0,
  digest: "a".repeat(64) as Digest,
  bytes: 72,
  createdAt: 5,
});

/** A task with its version 0, signed by the signer. */
async function addTask(store: Store, signer: ModelSigner, name: string) {
  const task = await taskOf(name);
  const initial = initialOf(task.taskId);
  await signer.signAndSave(manifestOf(task, initial, undefined, []), (signed) =>
    store.createTask(task, { ...initial, signed }),
  );
  return task;
}

async function isSignedBy(store: Store, task: TaskRecord, publicKey: PublicKey): Promise<boolean> {
  const version = (await store.latestModelVersion(task.taskId))!;
  await openManifest(version.signed, { ...version, layoutDigest: task.layout.digest });
  return version.signed.publicKey === publicKey;
}

/** A key as an operator makes it, by Node's own cryptography and not WebCrypto. */
function operatorKey() {
  const pair = generateKeyPairSync("ed25519");
  const pem = pair.privateKey.export({ type: "pkcs8", format: "pem" }) as string;
  const { x } = pair.publicKey.export({ format: "jwk" });
  return { pem, publicKey: x as PublicKey, pair };
}

test("[SIG10] a key is made once, and is the same after a restart", async () => {
  const store = createMemoryStore();
  const first = await open(store);
  const again = await open(store);
  expect(again.publicKey).toBe(first.publicKey);
  expect(again.list()).toEqual([{ publicKey: first.publicKey, createdAt: expect.any(String) }]);
  expect((await open(createMemoryStore())).publicKey).not.toBe(first.publicKey);
});

test("[SIG11] what is signed is genuine for Node's own cryptography", async () => {
  const store = createMemoryStore();
  const { pem, publicKey, pair } = operatorKey();
  const signer = await open(store, { privateKey: pem });
  expect(signer.publicKey).toBe(publicKey);
  const task = await addTask(store, signer, "t");
  const { signed } = (await store.latestModelVersion(task.taskId))!;
  const message = Buffer.from(`tributary model manifest v1\n${signed.manifest}`);
  const signature = Buffer.from(signed.signature, "base64url");
  expect(verify(null, message, pair.publicKey, signature)).toBe(true);
});

test("[SIG14] a new key is signed by the one before, and signs the newest version of every task", async () => {
  const store = createMemoryStore();
  const signer = await open(store);
  const tasks = [await addTask(store, signer, "a"), await addTask(store, signer, "b")];
  const first = signer.publicKey;
  const record = await signer.rotate();
  await signer.rotate();
  expect(signer.publicKey).not.toBe(first);
  expect(signer.list().map(({ publicKey }) => publicKey)).toEqual([
    first,
    record.publicKey,
    signer.publicKey,
  ]);
  const path = await followKeys(signer.list(), (key) => key === first, signer.publicKey);
  expect(path).toEqual(signer.list().slice(1));
  for (const task of tasks) expect(await isSignedBy(store, task, signer.publicKey)).toBe(true);
  const again = await open(store);
  expect(again.list()).toEqual(signer.list());
  expect(again.publicKey).toBe(signer.publicKey);
});

test("[SIG14] a former key cannot be had from the store any more", async () => {
  const store = createMemoryStore();
  const signer = await open(store);
  await store.secret("model-signing-key.0", () => Uint8Array.of(9));
  await signer.rotate();
  expect(await store.secret("model-signing-key.0", () => Uint8Array.of(9))).toEqual(
    Uint8Array.of(9),
  );
});

test("[SIG14] a former key is not left in the file of a closed store either", async () => {
  const directory = await mkdtemp(join(tmpdir(), "tributary-signer-"));
  const file = join(directory, "store.sqlite");
  const fill = () => {
    throw new Error("not there");
  };
  try {
    const seeds: Buffer[] = [];
    {
      await using store = await createSqliteStore({ file });
      const signer = await open(store);
      await store.secret("another", () => new Uint8Array(32).fill(1));
      seeds.push(Buffer.from(await store.secret("model-signing-key.0", fill)));
      await signer.rotate();
      seeds.push(Buffer.from(await store.secret("model-signing-key.1", fill)));
    }
    const bytes = await readFile(file);
    expect(seeds.map((seed) => bytes.includes(seed))).toEqual([false, true]);
    expect(await readdir(directory)).toEqual(["store.sqlite"]);
  } finally {
    await rm(directory, { recursive: true });
  }
});

test("[SIG14] a version that is saved while the key changes is signed by the key that comes after", async () => {
  const store = createMemoryStore();
  const signer = await open(store);
  const first = signer.publicKey;
  const task = await taskOf("t");
  const initial = initialOf(task.taskId);
  let rotation: Promise<unknown> | undefined;
  // The change is asked for between signing and saving: it has to wait, and then signs the version anew.
  await signer.signAndSave(manifestOf(task, initial, undefined, []), async (signed) => {
    rotation = signer.rotate();
    for (let i = 0; i < 20; i++) await crypto.subtle.digest("SHA-256", new Uint8Array(1));
    expect(signer.publicKey).toBe(first);
    await store.createTask(task, { ...initial, signed });
  });
  await rotation;
  expect(await isSignedBy(store, task, signer.publicKey)).toBe(true);
  expect(signer.publicKey).not.toBe(first);
});

test("[SIG15] the operator's own key signs, is not kept, and hands over to the next at a start", async () => {
  const store = createMemoryStore();
  const [one, two] = [operatorKey(), operatorKey()];
  const task = await addTask(store, await open(store, { privateKey: one.pem }), "t");
  await expect(open(store, {})).rejects.toEqual(invalid("signing.privateKey"));
  await expect(open(store, { privateKey: two.pem })).rejects.toEqual(
    invalid("signing.previousPrivateKey"),
  );
  const after = await open(store, { privateKey: two.pem, previousPrivateKey: one.pem });
  expect(after.list().map(({ publicKey }) => publicKey)).toEqual([one.publicKey, two.publicKey]);
  expect(await isSignedBy(store, task, two.publicKey)).toBe(true);
  // Once done the former key is needed no more, and cannot come back.
  expect((await open(store, { privateKey: two.pem })).list()).toHaveLength(2);
  await expect(open(store, { privateKey: one.pem, previousPrivateKey: two.pem })).rejects.toEqual(
    invalid("handed over to another key already"),
  );
  await expect(after.rotate()).rejects.toEqual(invalid("signing.previousPrivateKey"));
});

test("[SIG15] the coordinator's key and the operator's own hand over to each other", async () => {
  const store = createMemoryStore();
  const made = await open(store);
  const task = await addTask(store, made, "t");
  const own = operatorKey();
  const taken = await open(store, { privateKey: own.pem });
  expect(await isSignedBy(store, task, own.publicKey)).toBe(true);
  const back = await open(store, { previousPrivateKey: own.pem });
  expect(back.list()).toHaveLength(3);
  expect(back.publicKey).not.toBe(made.publicKey);
  expect(await isSignedBy(store, task, back.publicKey)).toBe(true);
  const path = await followKeys(back.list(), (key) => key === made.publicKey, back.publicKey);
  expect(path).toHaveLength(2);
  expect(taken.publicKey).toBe(own.publicKey);
  await back.rotate();
});

test("[SIG15] a key is PKCS #8 PEM as openssl writes it; what is none is refused unseen", async () => {
  const pem = execFileSync("openssl", ["genpkey", "-algorithm", "ed25519"], { encoding: "utf8" });
  expect((await open(createMemoryStore(), { privateKey: pem })).publicKey).toMatch(/^[\w-]{43}$/);
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({
    type: "pkcs8",
    format: "pem",
  }) as string;
  const body = pem.split("\n")[1]!;
  for (const wrong of [rsa, pem.replace(body, body.slice(4)), pem.replace(body, "!")]) {
    const refusal: unknown = await open(createMemoryStore(), { privateKey: wrong }).catch(
      (error: unknown) => error,
    );
    expect(refusal).toEqual(invalid("signing.privateKey is no Ed25519 private key"));
    expect(JSON.stringify(refusal)).not.toContain(body.slice(4, 20));
    expect((refusal as Error).cause).toBeUndefined();
  }
});

test("[SIG12] versions that an older coordinator left unsigned are signed once, at the next start", async () => {
  const directory = await mkdtemp(join(tmpdir(), "tributary-signer-"));
  const file = join(directory, "store.sqlite");
  try {
    const task = await taskOf("old");
    const { taskId } = task;
    const connection = (await loadSqliteDriver()).connect(file);
    // As the first released schema had it.
    migrate(connection, 0, 1);
    const database = onConnection(connection);
    database.transaction(() => {
      database
        .prepare("INSERT INTO tasks (task_id, record) VALUES (?, ?)")
        .run(taskId, JSON.stringify(task));
      const insert = database.prepare(
        "INSERT INTO model_versions (task_id, model_version, record) VALUES (?, ?, ?)",
      );
      for (let modelVersion = 0; modelVersion < 250; modelVersion++) {
        const round = modelVersion === 0 ? {} : { roundNumber: modelVersion };
        const version = { ...initialOf(taskId), modelVersion, ...round };
        insert.run(taskId, modelVersion, JSON.stringify(version));
      }
    });
    database.close();

    await using store = await createSqliteStore({ file });
    expect(await store.listUnsignedVersions(1000)).toHaveLength(250);
    const signer = await open(store);
    expect(await store.listUnsignedVersions(1)).toEqual([]);
    const versions = await store.listModelVersions(taskId, { limit: 1000 });
    for (const version of versions) {
      const subject = { ...version, layoutDigest: task.layout.digest };
      const manifest = await openManifest(version.signed, subject);
      expect(version.signed.publicKey).toBe(signer.publicKey);
      expect(manifest.parent?.modelVersion).toBe(
        version.modelVersion === 0 ? undefined : version.modelVersion - 1,
      );
    }
    await open(store);
    expect(await store.listModelVersions(taskId, { limit: 1000 })).toEqual(versions);
  } finally {
    await rm(directory, { recursive: true });
  }
});

test("[SIG11] a manifest states parent, figures and the privacy that was promised up to its version", async () => {
  const plain = await taskOf("plain");
  const { taskId } = plain;
  const evaluation = {
    source: "central" as const,
    numExamples: 10,
    loss: 0.5,
    accuracy: 0.9,
    perClass: [{ precision: 1, recall: 1, f1: 1, support: 10 }],
  };
  const version = { ...initialOf(taskId), modelVersion: 4, roundNumber: 6, evaluation };
  const parent = { ...initialOf(taskId), modelVersion: 3 };
  expect(JSON.parse(manifestOf(plain, version, parent, []))).toEqual({
    format: 1,
    taskId,
    modelVersion: 4,
    digest: version.digest,
    bytes: 72,
    layoutDigest: plain.layout.digest,
    parent: { modelVersion: 3, digest: parent.digest },
    roundNumber: 6,
    createdAt: "1970-01-01T00:00:00.005Z",
    evaluation: { source: "central", numExamples: 10, loss: 0.5, accuracy: 0.9 },
    privacy: {
      mechanism: "none",
      statement: expect.stringContaining(
        "No differential privacy: the model is made from its clients' updates without noise",
      ),
    },
  });

  const spec = resolveTaskSpec({
    taskId: "private",
    model: { tensors: [{ name: "w", shape: [2] }] },
    sampler: { kind: "poisson", samplingRate: 0.1, population: 1000 },
    clippingNorm: 1,
    privacy: { mechanism: "central", noiseMultiplier: 1, delta: 1e-5, maxEpsilon: 8 },
  });
  const task = { ...plain, taskId: spec.taskId, spec };
  const event = (roundNumber: number, status: "released" | "void" | "reserved") => ({
    roundId: `private.${roundNumber}` as never,
    taskId: spec.taskId,
    charge: sampledGaussian(1, 0.1),
    status,
    reservedAt: 1,
  });
  // Of a later round nothing is in the version; of a void one nothing was released.
  const ledger = [
    event(1, "released"),
    event(2, "void"),
    event(6, "reserved"),
    event(7, "released"),
  ];
  const { privacy } = JSON.parse(manifestOf(task, version, parent, ledger)) as {
    privacy: { epsilon: number; statement: string };
  };
  const two = JSON.parse(
    manifestOf(task, version, parent, [event(1, "released"), event(2, "released")]),
  ) as {
    privacy: { epsilon: number };
  };
  expect(privacy).toMatchObject({ mechanism: "central", rounds: 2, delta: 1e-5, maxEpsilon: 8 });
  expect(privacy.epsilon).toBe(two.privacy.epsilon);
  expect(privacy.epsilon).toBeGreaterThan(0);
  expect(privacy.statement).toContain("after 2 rounds");
});
