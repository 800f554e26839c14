import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, expect, test } from "vitest";

import { DataMissingError, loadDataSet } from "./loader.ts";
import type { DataSet } from "./registry.ts";

const BYTES = new TextEncoder().encode("1,2,3\n");
const SET: DataSet = {
  id: "tiny",
  title: "Tiny",
  homepage: "https://data.example/tiny",
  files: [
    {
      name: "a.data",
      url: "https://data.example/a.data",
      bytes: BYTES.length,
      sha256: createHash("sha256").update(BYTES).digest("hex"),
    },
  ],
  licence: "CC0",
  citation: "",
  partitionKey: "",
  splitRule: "",
};
const unreachable = async () => Promise.reject(new Error("no network"));

let root: string;
let options: { cacheDirectory: string; dataDirectory: string };
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "tributary-loader-"));
  options = { cacheDirectory: join(root, "cache"), dataDirectory: join(root, "data") };
});
afterEach(async () => rm(root, { recursive: true }));

const put = async (folder: string, bytes: Uint8Array) => {
  await mkdir(join(folder, "tiny"), { recursive: true });
  await writeFile(join(folder, "tiny", "a.data"), bytes);
};

test("[EX8] a file in the cache or in the user's folder is used without a download", async () => {
  await put(options.dataDirectory, BYTES);
  const download = unreachable;
  expect((await loadDataSet(SET, { ...options, download })).get("a.data")).toEqual(
    Buffer.from(BYTES),
  );
  await rm(options.dataDirectory, { recursive: true });
  await put(options.cacheDirectory, BYTES);
  expect((await loadDataSet(SET, { ...options, download })).size).toBe(1);
});

test("[EX8] what is nowhere is downloaded once, from the publisher, and kept", async () => {
  const asked: string[] = [];
  const download = async (url: string) => {
    asked.push(url);
    return BYTES;
  };
  await loadDataSet(SET, { ...options, download });
  await loadDataSet(SET, { ...options, download });
  expect(asked).toEqual(["https://data.example/a.data"]);
  expect(await readFile(join(options.cacheDirectory, "tiny", "a.data"))).toEqual(
    Buffer.from(BYTES),
  );
});

test("[EX8] bytes other than the registry's are never used, wherever they come from", async () => {
  const wrong = new TextEncoder().encode("1,2,4\n");
  await put(options.cacheDirectory, wrong);
  const loading = loadDataSet(SET, { ...options, download: async () => wrong });
  await expect(loading).rejects.toThrow(/SHA-256 .*expected 6 bytes/);
  expect(await loadDataSet(SET, { ...options, download: async () => BYTES })).toHaveProperty(
    "size",
    1,
  );
});

test("[EX9] missing data is said plainly: where it was sought, and what to do", async () => {
  const loading = loadDataSet(SET, { ...options, download: unreachable });
  await expect(loading).rejects.toBeInstanceOf(DataMissingError);
  await expect(loading).rejects.toThrow(
    /not there[^]*not there[^]*no network[^]*https:\/\/data.example\/tiny[^]*TRIBUTARY_DATA_DIR=<folder>/,
  );
});
