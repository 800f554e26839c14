import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { createMemoryStore } from "../../coordinator/src/storage/memory.ts";
import { createSqliteStore } from "../../coordinator/src/storage/sqlite.ts";
import { auditConformance } from "./audit.ts";
import { retentionConformance } from "./retention.ts";
import type { StoreUnderTest } from "./store.ts";
import { storeConformance } from "./store.ts";

async function openMemory(): Promise<StoreUnderTest> {
  const store = createMemoryStore();
  return { store, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() };
}

async function openSqlite(): Promise<StoreUnderTest> {
  const directory = await mkdtemp(join(tmpdir(), "tributary-store-"));
  const file = join(directory, "store.sqlite");
  const store = await createSqliteStore({ file });
  let current = store;
  return {
    store,
    reopen: async () => {
      await current[Symbol.asyncDispose]();
      return (current = await createSqliteStore({ file }));
    },
    [Symbol.asyncDispose]: async () => {
      await current[Symbol.asyncDispose]();
      await rm(directory, { recursive: true });
    },
  };
}

for (const conformance of [storeConformance, auditConformance, retentionConformance]) {
  conformance("memory", openMemory);
  conformance("sqlite", openSqlite);
}
