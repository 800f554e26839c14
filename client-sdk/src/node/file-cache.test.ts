import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { Layout, TaskId } from "@tributary/protocol";
import { createLayout, encodeCheckpoint, sha256, signKeyRecord } from "@tributary/protocol";
import { expect, test } from "vitest";

import { signFor, testKey } from "../../../test/support/signing.ts";
import type { CachedModel, ModelCache, TrustedKeys } from "../cache.ts";
import { createMemoryCache } from "../cache.ts";
import { loadClientKey } from "./client-key-file.ts";
import { createFileCache } from "./file-cache.ts";

const TASK = "digits" as TaskId;
const OTHER = "other" as TaskId;

async function temporary(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), "tributary-cache-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

async function version(modelVersion: number, value = modelVersion): Promise<CachedModel> {
  const layout: Layout = await createLayout([{ name: "w", shape: [3] }]);
  const frame = encodeCheckpoint(layout, {
    modelVersion,
    weights: new Float32Array(3).fill(value),
  });
  const digest = await sha256(frame);
  const subject = { modelVersion, digest, bytes: frame.length };
  const of = { ...subject, taskId: TASK, layoutDigest: layout.digest };
  const signed = await signFor(await testKey(1), of);
  return { layout, frame, checkpoint: { ...subject, signed } };
}

const caches: [string, (directory: string) => ModelCache][] = [
  ["memory", () => createMemoryCache()],
  ["file", (directory) => createFileCache({ directory: join(directory, "made/on/demand") })],
];

test.each(caches)("[SV10] a %s cache holds the newest version of each task", async (_, create) => {
  await using directory = await temporary();
  const cache = create(directory.path);
  const [one, two, foreign] = [await version(1), await version(2), await version(1, 7)];
  expect(await cache.get(TASK)).toBeUndefined();
  expect(await cache.getFrame(one.checkpoint.digest)).toBeUndefined();
  await cache.put(TASK, one);
  await cache.put(OTHER, foreign);
  await cache.put(TASK, two);
  await cache.put(TASK, one);
  const held = await cache.get(TASK);
  expect(held?.checkpoint).toEqual(two.checkpoint);
  expect(held?.layout).toEqual(two.layout);
  expect(new Uint8Array(held!.frame)).toEqual(two.frame);
  expect(new Uint8Array((await cache.getFrame(foreign.checkpoint.digest))!)).toEqual(foreign.frame);
  expect(await cache.getFrame(one.checkpoint.digest)).toBeUndefined();
});

test("[SV11] a file cache outlives its process and keeps one frame per task", async () => {
  await using directory = await temporary();
  const { path } = directory;
  for (const n of [1, 2, 3]) await createFileCache({ directory: path }).put(TASK, await version(n));
  const held = await createFileCache({ directory: path }).get(TASK);
  expect(held?.checkpoint.modelVersion).toBe(3);
  const { digest } = held!.checkpoint;
  expect((await readdir(path)).toSorted()).toEqual([`${digest}.frame`, "digits.json"].toSorted());
});

test("[SV11] a frame that two tasks share stays until neither has it", async () => {
  await using directory = await temporary();
  const cache = createFileCache({ directory: directory.path });
  const shared = await version(1);
  await cache.put(TASK, shared);
  await cache.put(OTHER, shared);
  await cache.put(TASK, await version(2));
  expect((await cache.get(OTHER))?.checkpoint).toEqual(shared.checkpoint);
  await cache.put(OTHER, await version(3));
  expect(await cache.getFrame(shared.checkpoint.digest)).toBeUndefined();
});

test("[SV12] what is damaged on disk is removed, counts as missing, and can be put again", async () => {
  await using directory = await temporary();
  const cache = createFileCache({ directory: directory.path });
  const model = await version(1);
  const framePath = join(directory.path, `${model.checkpoint.digest}.frame`);
  const entryPath = join(directory.path, "digits.json");
  const damages: [string, (bytes: Buffer) => Uint8Array | string][] = [
    [framePath, (bytes) => bytes.map((byte, i) => (i === bytes.length - 1 ? byte ^ 1 : byte))],
    [framePath, (bytes) => bytes.subarray(0, 40)],
    [framePath, () => ""],
    [entryPath, (bytes) => bytes.subarray(0, 40)],
    [entryPath, () => "null"],
    [entryPath, (bytes) => String(bytes).replace('"shape":[3]', '"shape":[4]')],
    // As before there were signatures.
    [entryPath, (bytes) => String(bytes).replace('"signed":', '"other":')],
    [
      entryPath,
      (bytes) => String(bytes).replace(/"digest":"\w{64}","bytes/, '"digest":"../x","bytes'),
    ],
  ];
  for (const [path, damage] of damages) {
    await cache.put(TASK, model);
    expect((await cache.get(TASK))?.checkpoint).toEqual(model.checkpoint);
    await writeFile(path, damage(await readFile(path)));
    expect(await cache.get(TASK)).toBeUndefined();
    await expect(stat(path)).rejects.toMatchObject({ code: "ENOENT" });
  }
});

test("[SV12] names that lead out of the directory are refused", async () => {
  await using directory = await temporary();
  const cache = createFileCache({ directory: directory.path });
  await expect(cache.get("../secret" as TaskId)).rejects.toMatchObject({
    code: "MALFORMED_MESSAGE",
  });
  await expect(cache.getFrame("../secret" as never)).rejects.toMatchObject({
    code: "MALFORMED_MESSAGE",
  });
});

const ORIGIN = "https://coordinator.example:8443";
const AT = "2026-01-02T03:04:05.678Z";

/** Key 1, which handed over to 2, which handed over to 3. */
async function trustedKeys(): Promise<TrustedKeys> {
  const [one, two, three] = [await testKey(1), await testKey(2), await testKey(3)];
  const successors = [
    await signKeyRecord(two.publicKey, AT, one),
    await signKeyRecord(three.publicKey, AT, two),
  ];
  return { firstKey: one.publicKey, successors };
}

test.each(caches)(
  "[SIG24] a %s cache holds the trusted keys of each coordinator",
  async (_, create) => {
    await using directory = await temporary();
    const cache = create(directory.path);
    const keys = await trustedKeys();
    expect(await cache.getTrust(ORIGIN)).toBeUndefined();
    await cache.putTrust(ORIGIN, { ...keys, successors: [] });
    await cache.putTrust(ORIGIN, keys);
    // A task of any name, and another coordinator, are something else.
    await cache.put(TASK, await version(1));
    await cache.putTrust("http://[::1]:80", { ...keys, successors: [] });
    expect(await cache.getTrust(ORIGIN)).toEqual(keys);
    expect(await cache.getTrust("https://coordinator.example")).toBeUndefined();
  },
);

test("[SIG24] keys that are damaged on disk are never taken for absent ones", async () => {
  await using directory = await temporary();
  const cache = createFileCache({ directory: directory.path });
  await cache.putTrust(ORIGIN, await trustedKeys());
  const [name] = await readdir(directory.path);
  const path = join(directory.path, name!);
  const whole = await readFile(path, "utf8");
  const damages = ["", "null", "{}", whole.slice(0, -20), whole.replace(/.$/m, "")];
  for (const at of [20, 80, 140, 200, 300]) {
    const letter = whole[at] === "A" ? "B" : "A";
    damages.push(`${whole.slice(0, at)}${letter}${whole.slice(at + 1)}`);
  }
  for (const damage of damages) {
    await writeFile(path, damage);
    await expect(cache.getTrust(ORIGIN), damage).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringContaining(path),
    });
    // It stays for its owner to see.
    expect(await readFile(path, "utf8")).toBe(damage);
  }
  await writeFile(path, whole);
  expect(await cache.getTrust(ORIGIN)).toEqual(await trustedKeys());
});

test("[SDK63] a client key is made once, for its owner only, whoever starts at the same time", async () => {
  await using directory = await temporary();
  const file = join(directory.path, "deep/client.key");
  const keys = await Promise.all(Array.from({ length: 8 }, () => loadClientKey(file)));
  expect(new Set(keys).size).toBe(1);
  expect(await loadClientKey(file)).toBe(keys[0]);
  expect(keys[0]).toMatch(/^[A-Za-z0-9_-]{43}$/);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect(await readdir(join(directory.path, "deep"))).toEqual(["client.key"]);
});

test("[SDK63] a file that holds no key is left alone and named in the error, without its text", async () => {
  await using directory = await temporary();
  const file = join(directory.path, "client.key");
  await writeFile(file, "a secret of somebody else");
  const fault = await loadClientKey(file).catch((error: unknown) => String(error));
  expect(fault).toContain(file);
  expect(fault).not.toContain("secret");
  expect(await readFile(file, "utf8")).toBe("a secret of somebody else");
});
