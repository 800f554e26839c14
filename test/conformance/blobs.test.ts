import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { createFileBlobs } from "../../coordinator/src/storage/blobs.ts";
import { createMemoryBlobs } from "../../coordinator/src/storage/memory.ts";
import { createKeyRing } from "../../coordinator/src/storage/seal.ts";
import { blobsConformance } from "./blobs.ts";

blobsConformance("memory", async () => ({
  blobs: createMemoryBlobs(),
  [Symbol.asyncDispose]: async () => undefined,
}));

const keys = createKeyRing({ encryptionKey: "5".repeat(64) })!;
blobsConformance("encrypted files", async () => {
  const directory = await mkdtemp(join(tmpdir(), "tributary-blobs-"));
  return {
    blobs: await createFileBlobs({ directory, keys }),
    reopen: () => createFileBlobs({ directory, keys }),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true }),
  };
});

blobsConformance("files", async () => {
  const parent = await mkdtemp(join(tmpdir(), "tributary-blobs-"));
  const directory = join(parent, "not", "yet", "there");
  return {
    blobs: await createFileBlobs({ directory }),
    reopen: () => createFileBlobs({ directory }),
    [Symbol.asyncDispose]: () => rm(parent, { recursive: true }),
  };
});
