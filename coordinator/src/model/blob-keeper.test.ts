import type { Digest } from "@tributary/protocol";
import { expect, test } from "vitest";

import type { BlobStore } from "../ports.ts";
import { createMemoryBlobs } from "../storage/memory.ts";
import { createBlobKeeper } from "./blob-keeper.ts";

const bytes = Uint8Array.of(1, 2, 3);

/** A keeper over memory, whose references and slowness the test decides. */
function makeKeeper(overrides: Partial<BlobStore> = {}) {
  const memory = createMemoryBlobs();
  const referenced = new Set<Digest>();
  const keeper = createBlobKeeper({ ...memory, ...overrides }, async (digest) =>
    referenced.has(digest),
  );
  return { memory, keeper, referenced };
}

/** A promise that the test resolves. */
function gate() {
  let open = () => {};
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}

test("[OPS21] what nothing refers to goes, what something refers to stays", async () => {
  const { memory, keeper, referenced } = makeKeeper();
  const gone = await memory.put(bytes);
  const kept = await memory.put(Uint8Array.of(9));
  referenced.add(kept);
  await keeper.discard([gone, kept]);
  expect(await memory.get(gone)).toBeUndefined();
  expect(await memory.get(kept)).toEqual(Uint8Array.of(9));
});

test("[OPS21] bytes that were put stay until each of their versions is saved or dropped", async () => {
  const { memory, keeper } = makeKeeper();
  const digest = await keeper.put(bytes);
  await keeper.put(bytes);
  await keeper.discard([digest]);
  keeper.settle(digest);
  await keeper.discard([]);
  expect(await memory.get(digest)).toEqual(bytes);
  keeper.settle(digest);
  await keeper.discard([]);
  expect(await memory.get(digest)).toBeUndefined();
});

test("[OPS21] nothing goes while a put is under way: it may be of the same bytes", async () => {
  const { opened, open } = gate();
  const { memory, keeper } = makeKeeper({
    // Sees the file, and takes its time to say so.
    put: async (given) => {
      const digest = await memory.put(given);
      await opened;
      return digest;
    },
  });
  const digest = await memory.put(bytes);
  const putting = keeper.put(bytes);
  await keeper.discard([digest]);
  expect(await memory.get(digest)).toEqual(bytes);
  open();
  await putting;
  await keeper.discard([]);
  expect(await memory.get(digest)).toEqual(bytes);
});

test("[OPS21] a put waits for a deletion under way, and writes the bytes again", async () => {
  const { opened, open } = gate();
  const { memory, keeper } = makeKeeper({
    delete: async (digest) => {
      await opened;
      await memory.delete(digest);
    },
  });
  const digest = await memory.put(bytes);
  const discarding = keeper.discard([digest]);
  const putting = keeper.put(bytes);
  open();
  await discarding;
  await putting;
  expect(await memory.get(digest)).toEqual(bytes);
});

test("[OPS21] nothing goes while a backup holds all of it; a failed deletion is tried again", async () => {
  let failing = true;
  const { memory, keeper } = makeKeeper({
    delete: async (digest) => {
      if (failing) throw new Error("the disk is read-only");
      await memory.delete(digest);
    },
  });
  const digest = await memory.put(bytes);
  const letGo = keeper.holdAll();
  await keeper.discard([digest]);
  letGo();
  letGo();
  await expect(keeper.discard([])).rejects.toThrow("read-only");
  expect(await memory.get(digest)).toEqual(bytes);
  failing = false;
  await keeper.discard([]);
  expect(await memory.get(digest)).toBeUndefined();
});
