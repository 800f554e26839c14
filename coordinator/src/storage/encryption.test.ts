import { copyFile, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import type { Digest } from "@tributary/protocol";
import { sha256 } from "@tributary/protocol";
import { expect, test } from "vitest";

import { createFileBlobs } from "./blobs.ts";
import type { KeyRing } from "./seal.ts";
import { createSeal, keyIdOf } from "./seal.ts";
import { loadSqliteDriver } from "./sqlite-driver.ts";
import { createSqliteStore } from "./sqlite.ts";

const driver = await loadSqliteDriver();
const ring = (current: number, previous?: number): KeyRing => ({
  current: createSeal(Buffer.alloc(32, current)),
  ...(previous === undefined ? {} : { previous: createSeal(Buffer.alloc(32, previous)) }),
});
/** Bytes that occur nowhere by chance. */
const canary = (seed: number): Uint8Array =>
  Uint8Array.from({ length: 3000 }, (_, i) => (i * (2 * seed + 1) + (i >> 8) * 101 + seed) & 255);
const SECRET = new TextEncoder().encode("a secret of exactly this text, 48 bytes long ...");

async function makeFolder() {
  const directory = await mkdtemp(join(tmpdir(), "tributary-encryption-"));
  const checkpoints = join(directory, "checkpoints");
  return {
    directory,
    checkpoints,
    file: join(directory, "store.sqlite"),
    fileOf: (digest: Digest) => join(checkpoints, digest.slice(0, 2), digest),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true }),
  };
}

async function* filesBelow(directory: string): AsyncGenerator<string> {
  for (const entry of await readdir(directory, { withFileTypes: true, recursive: true })) {
    if (entry.isFile()) yield join(entry.parentPath, entry.name);
  }
}

/** Files in which 16 bytes of any of the needles, from any of their starts, occur. */
async function filesWith(directory: string, needles: readonly Uint8Array[]): Promise<string[]> {
  const found: string[] = [];
  for await (const file of filesBelow(directory)) {
    const bytes = await readFile(file);
    const hit = needles.some((needle) => {
      for (let at = 0; at + 16 <= needle.length; at += 16) {
        if (bytes.includes(Buffer.from(needle.subarray(at, at + 16)))) return true;
      }
      return false;
    });
    if (hit) found.push(file);
  }
  return found;
}

test("[DR3] with a key no file of blobs holds their bytes, and a file is as large as the blob and 44 bytes", async () => {
  await using under = await makeFolder();
  const blobs = await createFileBlobs({ directory: under.checkpoints, keys: ring(1) });
  const digests = await Promise.all([1, 2, 3].map((seed) => blobs.put(canary(seed))));
  expect(await filesWith(under.directory, [1, 2, 3].map(canary))).toEqual([]);
  for (const digest of digests) {
    expect((await stat(under.fileOf(digest))).size).toBe(3000 + 44);
  }
  // The very search finds them where there is no key.
  const plain = await createFileBlobs({ directory: join(under.directory, "plain") });
  await plain.put(canary(1));
  expect(await filesWith(under.directory, [canary(1)])).toHaveLength(1);
});

test("[DR4] a changed, cut or swapped file, or one of a foreign key, is CHECKPOINT_CORRUPT, and putting the bytes again mends it", async () => {
  await using under = await makeFolder();
  const directory = under.checkpoints;
  const blobs = await createFileBlobs({ directory, keys: ring(1) });
  const first = await blobs.put(canary(1));
  const second = await blobs.put(canary(2));
  const good = await readFile(under.fileOf(first));
  const foreign = createSeal(Buffer.alloc(32, 9)).seal(`blob ${first}`, canary(1));
  const damages: Uint8Array[] = [
    ...[0, 8, 16, 28, 1000, good.length - 1].map((at) => good.with(at, good[at]! ^ 1)),
    good.subarray(0, good.length - 1),
    good.subarray(0, 30),
    Buffer.alloc(0),
    await readFile(under.fileOf(second)),
    foreign,
  ];
  for (const damage of damages) {
    await writeFile(under.fileOf(first), damage);
    await expect(blobs.get(first)).rejects.toMatchObject({ code: "CHECKPOINT_CORRUPT" });
    expect(await blobs.put(canary(1))).toBe(first);
    expect(await blobs.get(first)).toEqual(canary(1));
  }
  expect(await blobs.get(second)).toEqual(canary(2));
});

test("[DR5] plain files come under the key at the next start, and none stays plain", async () => {
  await using under = await makeFolder();
  const directory = under.checkpoints;
  const plain = await createFileBlobs({ directory });
  const digests = await Promise.all([1, 2, 3].map((seed) => plain.put(canary(seed))));
  // A file that is damaged already is no reason not to start, and does not stay plain either.
  await writeFile(under.fileOf(digests[2]!), canary(3).with(0, 0));
  await writeFile(join(directory, "README"), "the operator's own");
  const counts: number[] = [];
  const open = () =>
    createFileBlobs({ directory, keys: ring(1), onSealed: (count) => counts.push(count) });
  const blobs = await open();
  expect(await filesWith(under.directory, [1, 2, 3].map(canary))).toEqual([]);
  expect(await blobs.get(digests[0]!)).toEqual(canary(1));
  expect(await blobs.get(digests[1]!)).toEqual(canary(2));
  await expect(blobs.get(digests[2]!)).rejects.toMatchObject({ code: "CHECKPOINT_CORRUPT" });
  await open();
  expect(counts).toEqual([3]);
  expect(await readFile(join(directory, "README"), "utf8")).toBe("the operator's own");
});

test("[DR5] a start that died while files came under the key is gone on from", async () => {
  await using under = await makeFolder();
  const directory = under.checkpoints;
  const plain = await createFileBlobs({ directory });
  const digests = await Promise.all([1, 2].map((seed) => plain.put(canary(seed))));
  const before = await readFile(under.fileOf(digests[0]!));
  await createFileBlobs({ directory, keys: ring(1) });
  // As if only the second file had been reached, and the third left aside half-written.
  await rm(join(directory, "encrypted-with"));
  await writeFile(under.fileOf(digests[0]!), before);
  const stray = `${under.fileOf(digests[0]!)}.${crypto.randomUUID()}.tmp`;
  await writeFile(stray, before.subarray(0, 100));
  await writeFile(join(directory, `encrypted-with.${crypto.randomUUID()}.tmp`), "");
  let count = 0;
  const blobs = await createFileBlobs({ directory, keys: ring(1), onSealed: (n) => (count = n) });
  expect(count).toBe(1);
  expect(await filesWith(under.directory, [1, 2].map(canary))).toEqual([]);
  expect((await readdir(directory)).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  for (const [i, digest] of digests.entries()) {
    expect(await blobs.get(digest)).toEqual(canary(i + 1));
  }
});

test("[DR6] without the key, or with another, neither files nor store are opened, and nothing in them is changed", async () => {
  await using under = await makeFolder();
  const directory = under.checkpoints;
  await (await createFileBlobs({ directory, keys: ring(1) })).put(canary(1));
  {
    await using store = await createSqliteStore({ file: under.file, keys: ring(1) });
    await store.secret("token", () => SECRET);
  }
  const contents = async () => {
    const all: Record<string, string> = {};
    for await (const file of filesBelow(directory)) all[file] = await sha256(await readFile(file));
    // Opening and closing counts in the header of an SQLite file.
    const connection = driver.connect(under.file);
    const secrets = connection.prepare("SELECT name, hex(value) AS value FROM secrets").all();
    connection.close();
    return { all, secrets };
  };
  const before = await contents();
  for (const keys of [undefined, ring(2), ring(2, 3)]) {
    const given = keys === undefined ? {} : { keys };
    const refusal = {
      code: "CONFIG_INVALID",
      message: expect.stringMatching(
        keys === undefined ? /TRIBUTARY_STORAGE_ENCRYPTION_KEY/ : /previousEncryptionKey/,
      ),
    };
    await expect(createSqliteStore({ file: under.file, ...given })).rejects.toMatchObject(refusal);
    await expect(createFileBlobs({ directory, ...given })).rejects.toMatchObject(refusal);
    expect(await contents()).toEqual(before);
  }
  await using store = await createSqliteStore({ file: under.file, keys: ring(1) });
  expect(await store.secret("token", () => canary(4))).toEqual(SECRET);
});

test("[DR7] with a key no secret is in the store's files in the clear, and each opens under its own name only", async () => {
  await using under = await makeFolder();
  const { file } = under;
  {
    await using store = await createSqliteStore({ file, keys: ring(1) });
    expect(await store.secret("token", () => SECRET)).toEqual(SECRET);
    expect(await store.secret("other", () => canary(1))).toEqual(canary(1));
    // The log of a store that is open, too.
    expect(await filesWith(under.directory, [SECRET, canary(1)])).toEqual([]);
  }
  expect(await filesWith(under.directory, [SECRET, canary(1)])).toEqual([]);
  const connection = driver.connect(file);
  connection.exec(
    "UPDATE secrets SET value = (SELECT value FROM secrets WHERE name = 'other') WHERE name = 'token'",
  );
  connection.exec("INSERT INTO secrets VALUES ('planted', x'00112233')");
  connection.close();
  await using store = await createSqliteStore({ file, keys: ring(1) });
  expect(await store.secret("other", () => SECRET)).toEqual(canary(1));
  for (const name of ["token", "planted"]) {
    await expect(store.secret(name, () => SECRET)).rejects.toMatchObject({
      code: "INTERNAL",
      message: expect.stringContaining(`"${name}"`),
    });
  }
});

test("[DR8] a plain store's secrets come under the key at the next start, and nothing of them stays in its files", async () => {
  await using under = await makeFolder();
  const { file } = under;
  {
    await using store = await createSqliteStore({ file });
    await store.secret("token", () => SECRET);
    await store.secret("other", () => canary(1));
  }
  expect(await filesWith(under.directory, [SECRET])).toEqual([file]);
  {
    await using store = await createSqliteStore({ file, keys: ring(1) });
    expect(await filesWith(under.directory, [SECRET, canary(1)])).toEqual([]);
    expect(await store.secret("token", () => canary(2))).toEqual(SECRET);
    // As a crash leaves it: what the next start makes of the log is clean as well.
    await copyFile(file, `${file}-crashed`);
    await copyFile(`${file}-wal`, `${file}-crashed-wal`);
  }
  await using store = await createSqliteStore({ file: `${file}-crashed`, keys: ring(1) });
  expect(await store.secret("other", () => canary(2))).toEqual(canary(1));
  expect(await filesWith(under.directory, [SECRET, canary(1)])).toEqual([]);
});

test("[DR9] with the former key as the previous one, one start brings everything under the new key", async () => {
  await using under = await makeFolder();
  const { file, checkpoints: directory } = under;
  const digests: Digest[] = [];
  {
    const blobs = await createFileBlobs({ directory, keys: ring(1) });
    for (const seed of [1, 2]) digests.push(await blobs.put(canary(seed)));
    await using store = await createSqliteStore({ file, keys: ring(1) });
    await store.secret("token", () => SECRET);
  }
  {
    await using store = await createSqliteStore({ file, keys: ring(2, 1) });
    const blobs = await createFileBlobs({ directory, keys: ring(2, 1) });
    expect(await store.secret("token", () => canary(1))).toEqual(SECRET);
    expect(await blobs.get(digests[0]!)).toEqual(canary(1));
  }
  for (const digest of digests) {
    expect(keyIdOf(await readFile(under.fileOf(digest)))).toBe(ring(2).current.keyId);
  }
  await using store = await createSqliteStore({ file, keys: ring(2) });
  const blobs = await createFileBlobs({ directory, keys: ring(2) });
  expect(await store.secret("token", () => canary(1))).toEqual(SECRET);
  expect(await blobs.get(digests[1]!)).toEqual(canary(2));
  await expect(createFileBlobs({ directory, keys: ring(1) })).rejects.toMatchObject({
    code: "CONFIG_INVALID",
  });
});

test("[DR9] a change of keys that died half-way needs the former key until it is done", async () => {
  await using under = await makeFolder();
  const directory = under.checkpoints;
  const old = await createFileBlobs({ directory, keys: ring(1) });
  const digests = [await old.put(canary(1)), await old.put(canary(2))];
  const before = await readFile(under.fileOf(digests[0]!));
  const marker = await readFile(join(directory, "encrypted-with"));
  await createFileBlobs({ directory, keys: ring(2, 1) });
  await writeFile(under.fileOf(digests[0]!), before);
  await writeFile(join(directory, "encrypted-with"), marker);
  await expect(createFileBlobs({ directory, keys: ring(2) })).rejects.toMatchObject({
    code: "CONFIG_INVALID",
    message: expect.stringContaining(dirname(under.fileOf(digests[0]!))),
  });
  const blobs = await createFileBlobs({ directory, keys: ring(2, 1) });
  for (const [i, digest] of digests.entries()) {
    expect(await blobs.get(digest)).toEqual(canary(i + 1));
  }
});
