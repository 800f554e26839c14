import { mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { sha256 } from "@tributary/protocol";
import { expect, test } from "vitest";

import { createFileBlobs } from "./blobs.ts";

const bytes = Uint8Array.from({ length: 10_000 }, (_, i) => i % 251);

async function makeBlobs() {
  const directory = await mkdtemp(join(tmpdir(), "tributary-blobs-"));
  return {
    directory,
    blobs: await createFileBlobs({ directory }),
    fileOf: (digest: string) => join(directory, digest.slice(0, 2), digest),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true }),
  };
}

test("[ST36] a blob is one file named by its digest, in the folder of the digest's first two digits", async () => {
  await using under = await makeBlobs();
  const digest = await under.blobs.put(bytes);
  await under.blobs.put(bytes);
  expect(await readdir(under.directory)).toEqual([digest.slice(0, 2)]);
  expect(await readdir(join(under.directory, digest.slice(0, 2)))).toEqual([digest]);
  expect(new Uint8Array(await readFile(under.fileOf(digest)))).toEqual(bytes);
});

test("[ST37] bytes that do not match their digest are never handed out", async () => {
  await using under = await makeBlobs();
  const digest = await under.blobs.put(bytes);
  const file = under.fileOf(digest);
  const damages = [
    () => writeFile(file, bytes.with(5000, bytes[5000]! ^ 1)),
    () => truncate(file, 9999),
    () => truncate(file, 0),
  ];
  for (const damage of damages) {
    await damage();
    await expect(under.blobs.get(digest)).rejects.toMatchObject({ code: "CHECKPOINT_CORRUPT" });
  }
});

test("[ST38] putting bytes again mends their file where it is damaged", async () => {
  await using under = await makeBlobs();
  const digest = await under.blobs.put(bytes);
  const file = under.fileOf(digest);
  for (const damage of [
    () => truncate(file, 10),
    () => writeFile(file, bytes.with(0, 99)),
    () => rm(file),
  ]) {
    await damage();
    expect(await under.blobs.put(bytes)).toBe(digest);
    expect(await under.blobs.get(digest)).toEqual(bytes);
  }
});

test("[ST39] what a crash left half-written is removed at the next start, and nothing else is", async () => {
  await using under = await makeBlobs();
  const digest = await under.blobs.put(bytes);
  const folder = join(under.directory, digest.slice(0, 2));
  const stray = `${digest}.${crypto.randomUUID()}.tmp`;
  await writeFile(join(folder, stray), bytes.subarray(0, 10));
  await writeFile(join(folder, "notes.tmp"), "the operator's own");
  await writeFile(join(under.directory, "README"), "the operator's own");
  const again = await createFileBlobs({ directory: under.directory });
  expect((await readdir(folder)).sort()).toEqual([digest, "notes.tmp"].sort());
  expect(await readdir(under.directory)).toContain("README");
  expect(await again.get(digest)).toEqual(bytes);
});

test("[ST40] a disk that fails is an UNAVAILABLE that names no path, and leaves nothing half-written", async () => {
  await using under = await makeBlobs();
  const digest = await sha256(bytes);
  const folder = join(under.directory, digest.slice(0, 2));
  await writeFile(folder, "a file where the folder should be");
  const refusal = expect.objectContaining({
    code: "UNAVAILABLE",
    message: expect.not.stringContaining(under.directory),
    cause: expect.any(Error),
  });
  await expect(under.blobs.put(bytes)).rejects.toEqual(refusal);
  await expect(under.blobs.get(digest)).rejects.toEqual(refusal);
  await rm(folder);
  await under.blobs.put(bytes);

  // A directory of the blob's own name: it can be neither read nor replaced.
  const other = await sha256(bytes.subarray(1));
  await mkdir(under.fileOf(other), { recursive: true });
  await expect(under.blobs.put(bytes.subarray(1))).rejects.toEqual(refusal);
  expect(await readdir(join(under.directory, other.slice(0, 2)))).not.toContainEqual(
    expect.stringContaining(".tmp"),
  );
});

test("[ST40] a directory that cannot be used is refused at the start, by name", async () => {
  await using under = await makeBlobs();
  const directory = join(under.directory, "file");
  await writeFile(directory, "");
  await expect(createFileBlobs({ directory })).rejects.toMatchObject({
    code: "UNAVAILABLE",
    message: expect.stringContaining(directory),
  });
});
