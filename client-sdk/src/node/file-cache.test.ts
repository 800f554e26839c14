import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { TaskId } from "@tributary/protocol";
import { expect, test } from "vitest";

import {
  COORDINATOR as ORIGIN,
  modelCacheConformance,
  modelOf as version,
  trustedKeys,
} from "../../../test/conformance/model-cache.ts";
import { loadClientKey } from "./client-key-file.ts";
import { createFileCache } from "./file-cache.ts";

const TASK = "digits" as TaskId;
const OTHER = "other" as TaskId;

async function temporary(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), "tributary-cache-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

modelCacheConformance("file", async () => {
  const directory = await temporary();
  return {
    cache: createFileCache({ directory: join(directory.path, "made/on/demand") }),
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  };
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
