import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { createMemoryStore } from "../../coordinator/src/storage/memory.ts";
import type { KeyRing } from "../../coordinator/src/storage/seal.ts";
import { createKeyRing } from "../../coordinator/src/storage/seal.ts";
import { createSqliteStore } from "../../coordinator/src/storage/sqlite.ts";
import { auditConformance } from "./audit.ts";
import { enrolmentConformance } from "./enrolments.ts";
import { retentionConformance } from "./retention.ts";
import type { StoreUnderTest } from "./store.ts";
import { storeConformance } from "./store.ts";

async function openMemory(): Promise<StoreUnderTest> {
  const store = createMemoryStore();
  return { store, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() };
}

const openSqlite = async () => openFile({});
const openEncrypted = async () => {
  const keys = createKeyRing({ encryptionKey: "5".repeat(64) });
  return openFile(keys === undefined ? {} : { keys });
};

async function openFile(options: { readonly keys?: KeyRing }): Promise<StoreUnderTest> {
  const directory = await mkdtemp(join(tmpdir(), "tributary-store-"));
  const file = join(directory, "store.sqlite");
  const store = await createSqliteStore({ file, ...options });
  let current = store;
  return {
    store,
    reopen: async () => {
      await current[Symbol.asyncDispose]();
      return (current = await createSqliteStore({ file, ...options }));
    },
    [Symbol.asyncDispose]: async () => {
      await current[Symbol.asyncDispose]();
      await rm(directory, { recursive: true });
    },
  };
}

for (const conformance of [
  storeConformance,
  auditConformance,
  retentionConformance,
  enrolmentConformance,
]) {
  conformance("memory", openMemory);
  conformance("sqlite", openSqlite);
  conformance("encrypted sqlite", openEncrypted);
}
