import type { TaskId } from "@tributary/protocol";
import { isFederatedError } from "@tributary/protocol";
import { expect, test } from "vitest";

import type { PrivacyLedgerStore } from "./ledger-store.ts";
import { createMemoryLedger } from "./ledger-store.ts";
import { createClientLedger } from "./ledger.ts";

const KEY = { origin: "http://c", taskId: "t" as TaskId };
const DRAW = { localNoise: { noiseMultiplier: 5, delta: 1e-5, maxEpsilon: 3 } };
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => "ok",
    (error: unknown) => (isFederatedError(error) ? error.code : String(error)),
  );

/** Draws until the ledger refuses. */
async function drawAll(store: PrivacyLedgerStore): Promise<number> {
  const ledger = createClientLedger(store, undefined);
  for (let made = 0; ; made++) {
    if ((await ledger.reserve(KEY, DRAW)) !== undefined) return made;
  }
}

test("[LD8] a ledger remembers what was recorded, and asking records nothing", async () => {
  const store = createMemoryLedger();
  const most = await drawAll(createMemoryLedger());
  expect(most).toBeGreaterThan(1);
  const ledger = createClientLedger(store, undefined);
  for (let i = 0; i < 20; i++) expect(await ledger.ask(KEY, DRAW)).toBeUndefined();
  expect(await ledger.reserve(KEY, DRAW)).toBeUndefined();
  expect(await drawAll(store)).toBe(most - 1);
  expect(await createClientLedger(store, undefined).accounts()).toMatchObject([
    { ...KEY, updates: most, limit: { delta: 1e-5, maxEpsilon: 3 } },
  ]);
});

test("[LD10] two that spend from one ledger at once never spend more than there is", async () => {
  const store = createMemoryLedger();
  // Each read and write is a turn of its own, so that every interleaving happens.
  const slow: PrivacyLedgerStore = {
    read: async () => (await Promise.resolve(), store.read()),
    write: async (text, revision) => (await Promise.resolve(), store.write(text, revision)),
  };
  const made = await Promise.all([slow, slow, slow].map(drawAll));
  expect(made.reduce((sum, count) => sum + count, 0)).toBe(await drawAll(createMemoryLedger()));
});

test("[LD8] a store that fails to read or write, also after it wrote, gives nothing to send", async () => {
  const broken = () => Promise.reject(new Error("disk full"));
  const held = createMemoryLedger();
  const reserve = (store: PrivacyLedgerStore) =>
    codeOf(createClientLedger(store, undefined).reserve(KEY, DRAW));
  expect(await reserve({ ...held, read: broken })).toBe("UNAVAILABLE");
  expect(await reserve({ ...held, write: broken })).toBe("UNAVAILABLE");
  const lostAnswer = async (text: string, revision: number) => {
    await held.write(text, revision);
    return broken();
  };
  expect(await reserve({ ...held, write: lostAnswer })).toBe("UNAVAILABLE");
  // It is on record all the same.
  expect(await createClientLedger(held, undefined).accounts()).toMatchObject([{ updates: 1 }]);
  expect(await reserve({ ...held, write: async () => false })).toBe("UNAVAILABLE");
});

test("[LD9] a ledger with anything changed in it is damaged, and no budget is read out of it", async () => {
  const store = createMemoryLedger();
  const ledger = createClientLedger(store, undefined);
  await ledger.reserve(KEY, DRAW);
  await ledger.reserve(KEY, DRAW);
  const text = (await store.read())!.text;
  const damaged = [
    "",
    text.slice(0, -1),
    text.slice(0, text.length / 2),
    text + text,
    ...Array.from(text, (character, i) => {
      const other = character === "1" ? "2" : "1";
      return text.slice(0, i) + other + text.slice(i + 1);
    }).filter((changed) => changed !== text),
  ];
  for (const wrong of damaged) {
    const read = async () => ({ revision: 2, text: wrong });
    const found = createClientLedger({ ...store, read }, undefined);
    expect(await codeOf(found.reserve(KEY, DRAW)), wrong).toBe("CONFIG_INVALID");
    expect(await codeOf(found.accounts())).toBe("CONFIG_INVALID");
  }
});
