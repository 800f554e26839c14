import type { RoundId, TaskId } from "@tributary/protocol";
import { checksumOf, isFederatedError, sha256 } from "@tributary/protocol";
import { openDB } from "idb";
import { afterEach, beforeEach, expect, test } from "vitest";

import { feedbackConformance } from "../../../test/conformance/feedback.ts";
import {
  COORDINATOR,
  modelCacheConformance,
  modelOf,
  trustedKeys,
} from "../../../test/conformance/model-cache.ts";
import { pendingUpdatesConformance } from "../../../test/conformance/pending-updates.ts";
import { privacyLedgerConformance } from "../../../test/conformance/privacy-ledger.ts";
import { FakePage, freshProfile, until } from "../../../test/support/device-world.ts";
import type { PendingUpdate } from "../pending-updates.ts";
import { createDatabase } from "./database.ts";
import { createDatabaseLedger, createLedgerMark } from "./database-ledger.ts";
import type { Device, DeviceOptions } from "./device.ts";
import { openDevice } from "./device.ts";
import { openPerson } from "./person.ts";

const NAME = "tributary:default";
const TASK = "digits" as TaskId;

let page: FakePage;
let opened: Device[] = [];
beforeEach(() => {
  freshProfile();
  page = new FakePage();
});
afterEach(() => {
  for (const device of opened) device.close();
  opened = [];
});

/** A tab of the profile; all are closed after the test. */
async function openTab(options?: DeviceOptions, world = page.world): Promise<Device> {
  const device = await openDevice(options, world);
  opened.push(device);
  return device;
}

const faultOf = (work: Promise<unknown>): Promise<{ code: string; reason?: unknown }> =>
  work.then(
    () => ({ code: "ok" }),
    (error: unknown) =>
      isFederatedError(error)
        ? { code: error.code, ...(error.details ?? {}) }
        : { code: String(error) },
  );

/** Changes what is stored, as no version of the SDK does. */
async function damage(store: string, key: IDBValidKey | undefined, value: unknown): Promise<void> {
  const db = await openDB(NAME);
  if (value === undefined) await db.delete(store, key!);
  else await db.put(store, value, key);
  db.close();
}

async function stored(store: string): Promise<unknown[]> {
  const db = await openDB(NAME);
  const all = (await db.getAll(store)) as unknown[];
  db.close();
  return all;
}

async function updateOf(round: number): Promise<PendingUpdate> {
  const frame = new Uint8Array(8).fill(round);
  const [madeFor, checksum] = [await sha256(frame), checksumOf(frame)];
  const roundId = `${TASK}:${round}` as RoundId;
  return { origin: COORDINATOR, taskId: TASK, roundId, madeFor, checksum, frame };
}

modelCacheConformance("IndexedDB", async () => {
  freshProfile();
  const device = await openDevice({}, page.world);
  return { cache: device.cache, [Symbol.asyncDispose]: async () => device.close() };
});

privacyLedgerConformance("IndexedDB", async () => {
  freshProfile();
  const [device, other] = [await openDevice({}, page.world), await openDevice({}, page.world)];
  return {
    ledger: device.ledger,
    other: other.ledger,
    [Symbol.asyncDispose]: async () => {
      device.close();
      other.close();
    },
  };
});

feedbackConformance("IndexedDB", async () => {
  freshProfile();
  const device = await openDevice({}, page.world);
  return { feedback: device.feedback, [Symbol.asyncDispose]: async () => device.close() };
});

pendingUpdatesConformance("IndexedDB", async () => {
  freshProfile();
  const device = await openDevice({}, page.world);
  return { updates: device.pendingUpdates, [Symbol.asyncDispose]: async () => device.close() };
});

test("[BR1] tabs that open at once share one key, which lasts; another name is another person", async () => {
  const tabs = await Promise.all(Array.from({ length: 6 }, () => openTab()));
  expect(new Set(tabs.map((tab) => tab.clientKey)).size).toBe(1);
  expect(tabs[0]!.clientKey).toMatch(/^[A-Za-z0-9_-]{43}$/);
  for (const tab of tabs) tab.close();
  expect((await openTab()).clientKey).toBe(tabs[0]!.clientKey);
  expect((await openTab({ name: "somebody else" })).clientKey).not.toBe(tabs[0]!.clientKey);
});

test("[BR1] a key that is damaged is refused without being shown, and stays", async () => {
  (await openTab()).close();
  await damage("own", "clientKey", "a secret of somebody else");
  const fault: unknown = await openTab().catch((error: unknown) => error);
  expect(fault).toMatchObject({ code: "CONFIG_INVALID" });
  expect(String(fault)).not.toContain("secret");
  expect(await stored("own")).toEqual(["a secret of somebody else"]);
});

test("[BR2] what lasts is there for the next tab: models, trusted keys, ledger, updates", async () => {
  const before = await openTab();
  const [model, keys, update] = [await modelOf(3), await trustedKeys(), await updateOf(1)];
  await before.cache.put(TASK, model);
  await before.cache.putTrust(COORDINATOR, keys);
  await before.ledger.write("spent", 0);
  await before.pendingUpdates.put(update);
  before.close();
  const { clientOptions } = await openTab();
  expect(await clientOptions.cache.get(TASK)).toEqual(model);
  expect(await clientOptions.cache.getTrust(COORDINATOR)).toEqual(keys);
  expect(await clientOptions.privacy.ledger.read()).toEqual({ revision: 1, text: "spent" });
  expect(await clientOptions.pendingUpdates.get(COORDINATOR, TASK)).toEqual(update);
});

test("[BR2] of a view into larger memory nothing else is kept", async () => {
  const { cache, pendingUpdates } = await openTab();
  const [model, update] = [await modelOf(1), await updateOf(1)];
  const viewOf = (bytes: Uint8Array) => {
    const memory = new Uint8Array(bytes.length + 100).fill(7);
    memory.set(bytes, 50);
    return memory.subarray(50, 50 + bytes.length);
  };
  await cache.put(TASK, { ...model, frame: viewOf(model.frame) });
  await pendingUpdates.put({ ...update, frame: viewOf(update.frame) });
  for (const store of ["models", "updates"]) {
    const [{ frame }] = (await stored(store)) as [{ frame: Uint8Array }];
    expect(frame.buffer.byteLength).toBe(frame.length);
  }
  expect(await cache.get(TASK)).toEqual(model);
});

test("[BR2] a model that is damaged is removed, counts as missing, and can be put again", async () => {
  const { cache } = await openTab();
  const model = await modelOf(1);
  const whole = { taskId: TASK, ...model };
  const { checkpoint, layout, frame } = model;
  const damages: unknown[] = [
    { ...whole, frame: frame.map((byte, i) => (i === frame.length - 1 ? byte ^ 1 : byte)) },
    { ...whole, frame: frame.slice(0, 40) },
    { ...whole, frame: "none" },
    { taskId: TASK, checkpoint, layout },
    { ...whole, layout: { ...layout, tensors: [{ name: "w", shape: [4] }] } },
    { ...whole, layout: null },
    { ...whole, checkpoint: { ...checkpoint, signed: undefined } },
  ];
  for (const damaged of damages) {
    for (const read of [() => cache.get(TASK), () => cache.getFrame(checkpoint.digest)]) {
      await cache.put(TASK, model);
      expect((await cache.get(TASK))?.checkpoint).toEqual(checkpoint);
      await damage("models", undefined, damaged);
      expect(await read()).toBeUndefined();
      expect(await stored("models")).toEqual([]);
    }
  }
});

test("[BR2] trusted keys that are damaged are never taken for absent ones", async () => {
  const { cache } = await openTab();
  const keys = await trustedKeys();
  const [first] = keys.successors;
  const damages = [
    null,
    "",
    {},
    { ...keys, firstKey: "none" },
    { ...keys, firstKey: keys.successors[0]!.publicKey },
    { ...keys, successors: [keys.successors[1]] },
    { ...keys, successors: [{ ...first, createdAt: "2020-01-01T00:00:00.000Z" }] },
  ];
  for (const damaged of damages) {
    await damage("trust", COORDINATOR, damaged);
    expect(await faultOf(cache.getTrust(COORDINATOR)), JSON.stringify(damaged)).toEqual({
      code: "CONFIG_INVALID",
    });
    expect(await stored("trust")).toEqual([damaged]);
  }
});

test("[BR2] large ones are kept as Blobs, which a page need not stand still for, and come back as they were", async () => {
  const { pendingUpdates, cache } = await openTab();
  const frame = Uint8Array.from({ length: 3 * 2 ** 20 + 5 }, (_, i) => (i * 31) % 253);
  const digest = await sha256(frame);
  const update = { ...(await updateOf(1)), frame, checksum: checksumOf(frame) };
  await pendingUpdates.put(update);
  const model = await modelOf(3);
  const large = {
    ...model,
    frame,
    checkpoint: { ...model.checkpoint, digest, bytes: frame.length },
  };
  await cache.put(TASK, large);
  const kept = [...(await stored("updates")), ...(await stored("models"))] as { frame: unknown }[];
  expect(kept.map((one) => one.frame instanceof Blob)).toEqual([true, true]);
  const again = await openTab();
  const found = await again.pendingUpdates.get(COORDINATOR, TASK);
  expect({ ...found, frame: undefined }).toEqual({ ...update, frame: undefined });
  const frames = [found?.frame, (await again.cache.get(TASK))?.frame];
  for (const one of [...frames, await again.cache.getFrame(digest)]) {
    expect(await sha256(one!)).toBe(digest);
  }
});

test("[BR3] a ledger that is gone, damaged or older than it was is no new ledger", async () => {
  const { ledger } = await openTab();
  await ledger.write("one", 0);
  await ledger.write("two", 1);
  const whole = { revision: 2, text: "two" };
  const damages = [undefined, { revision: 1, text: "one" }, "two", { revision: 2 }, null];
  for (const damaged of damages) {
    await damage("own", "ledger", damaged);
    const lost = { code: "CONFIG_INVALID" };
    expect(await faultOf(ledger.read()), JSON.stringify(damaged)).toEqual(lost);
    expect(await faultOf(ledger.write("new", 0))).toEqual(lost);
    expect(await faultOf(ledger.write("new", 1))).toEqual(lost);
    await damage("own", "ledger", whole);
    expect(await ledger.read()).toEqual(whole);
  }
  // Where there is no localStorage, as in a Worker, the mark beside it remains.
  page.stored.clear();
  await damage("own", "ledger", undefined);
  expect(await faultOf(ledger.read())).toEqual({ code: "CONFIG_INVALID" });
});

test("[BR3] a ledger whose whole database the browser has dropped is known to be lost", async () => {
  const before = await openTab();
  await before.ledger.write("one", 0);
  before.close();
  freshProfile();
  const after = await openTab();
  expect(after.clientKey).not.toBe(before.clientKey);
  expect(await faultOf(after.ledger.read())).toEqual({ code: "CONFIG_INVALID" });
  await after.forgetMe();
  expect(await (await openTab()).ledger.read()).toBeUndefined();
});

test("[BR3] a page whose localStorage is blocked has its ledger all the same", async () => {
  Object.defineProperty(page, "localStorage", {
    get: () => {
      throw new DOMException("blocked", "SecurityError");
    },
  });
  const { ledger } = await openTab();
  expect(await ledger.write("one", 0)).toBe(true);
  expect(await ledger.read()).toEqual({ revision: 1, text: "one" });
});

test("[BR4] consent goes from unasked to granted, withdrawn and granted, and is remembered", async () => {
  const { consent } = await openTab();
  const heard: string[] = [];
  consent.subscribe(() => heard.push(consent.state));
  expect([consent.state, consent.since]).toEqual(["unasked", undefined]);
  for (const [say, state] of [
    [consent.grant, "granted"],
    [consent.withdraw, "withdrawn"],
    [consent.grant, "granted"],
  ] as const) {
    await say();
    expect(consent.state).toBe(state);
    expect(Date.parse(consent.since!)).not.toBeNaN();
    const later = await openTab();
    expect([later.consent.state, later.consent.since]).toEqual([state, consent.since]);
  }
  expect(heard.filter((state, i) => state !== heard[i - 1])).toEqual([
    "granted",
    "withdrawn",
    "granted",
  ]);
  // The browser is asked to keep what it holds when somebody agrees, and not before.
  expect(page.persistAsked).toBe(2);
});

test("[BR4] every tab hears at once what was said in one of them", async () => {
  const [here, there] = [await openTab(), await openTab()];
  let told = 0;
  there.consent.subscribe(() => void (told += 1));
  await here.consent.grant();
  await until(() => there.consent.state === "granted");
  expect(told).toBe(1);
  await there.consent.withdraw();
  await until(() => here.consent.state === "withdrawn");
});

test("[BR4] what was said while a tab was put aside, or can no longer be read, counts when it is back", async () => {
  const tab = await openTab();
  await tab.consent.grant();
  await damage("own", "consent", { state: "withdrawn", text: "", at: "2026-01-01" });
  page.show("visible");
  await until(() => tab.consent.state === "withdrawn");
  for (const damaged of [undefined, "granted", { state: "granted" }, null]) {
    await tab.consent.grant();
    await damage("own", "consent", damaged);
    page.tell("pageshow");
    await until(() => tab.consent.state === "unasked");
  }
});

test("[BR4] of answers in quick succession the last one counts, at once and for good", async () => {
  const { consent } = await openTab();
  const heard: string[] = [];
  const granting = consent.grant();
  const withdrawing = consent.withdraw();
  consent.subscribe(() => heard.push(consent.state));
  await Promise.all([granting, withdrawing]);
  expect(heard).not.toContain("granted");
  expect((await openTab()).consent.state).toBe("withdrawn");
  await Promise.all([consent.withdraw(), consent.grant()]);
  expect(consent.state).toBe("granted");
  expect((await openTab()).consent.state).toBe("granted");
});

test("[BR4] a full disk has room for a no: nothing waits to be sent, and whoever comes back is asked", async () => {
  const { consent, pendingUpdates } = await openTab();
  await consent.grant();
  await pendingUpdates.put(await updateOf(1));
  const { put } = IDBObjectStore.prototype;
  IDBObjectStore.prototype.put = () => {
    throw new DOMException("the disk is full", "QuotaExceededError");
  };
  try {
    await consent.withdraw();
    expect(consent.state).not.toBe("granted");
    expect(await stored("updates")).toEqual([]);
    expect(await faultOf(consent.grant())).toMatchObject({ reason: "quota" });
    expect(consent.state).not.toBe("granted");
  } finally {
    IDBObjectStore.prototype.put = put;
  }
  expect((await openTab()).consent.state).toBe("unasked");
});

test("[BR5] a new text asks again who agreed to another one, and not who has said no", async () => {
  const [first, second] = [{ consentTo: "We count." }, { consentTo: "We count and sell." }];
  const old = await openTab(first);
  await old.consent.grant();
  const renewed = await openTab(second);
  expect(renewed.consent.state).toBe("unasked");
  await renewed.consent.grant();
  expect(renewed.consent.state).toBe("granted");
  // A tab that still shows the former text trains no more.
  await until(() => old.consent.state === "unasked");
  await renewed.consent.withdraw();
  expect((await openTab(first)).consent.state).toBe("withdrawn");
});

test("[BR7] withdrawing deletes updates that wait, lets none be kept, and leaves the models", async () => {
  const [here, there] = [await openTab(), await openTab()];
  await here.consent.grant();
  await here.cache.put(TASK, await modelOf(1));
  await here.pendingUpdates.put(await updateOf(1));
  await here.feedback.put(COORDINATOR, TASK, new Uint8Array(8));
  await there.consent.withdraw();
  expect(await here.pendingUpdates.get(COORDINATOR, TASK)).toBeUndefined();
  expect(await here.feedback.get(COORDINATOR, TASK)).toBeUndefined();
  const late = here.feedback.put(COORDINATOR, TASK, new Uint8Array(8));
  expect(await faultOf(late)).toEqual({ code: "ABORTED" });
  // Work that has not stopped yet.
  expect(await faultOf(here.pendingUpdates.put(await updateOf(2)))).toEqual({ code: "ABORTED" });
  expect(await stored("updates")).toEqual([]);
  expect(await here.cache.get(TASK)).toBeDefined();
  await here.consent.grant();
  await here.pendingUpdates.put(await updateOf(3));
  expect(await stored("updates")).toHaveLength(1);
});

test("[BR7] nothing more is sent by a tab that slept through a withdrawal, or that somebody was forgotten", async () => {
  const here = await openTab();
  const asleep = await openTab({}, new FakePage().world);
  const allowed = () => faultOf(asleep.pendingUpdates.checkAllowed!());
  await here.consent.grant();
  expect(await allowed()).toEqual({ code: "ok" });
  // Before anybody is told.
  await damage("own", "consent", { state: "withdrawn", text: "", at: "2026-01-01" });
  expect(await allowed()).toEqual({ code: "ABORTED" });
  await here.consent.grant();
  expect(await allowed()).toEqual({ code: "ok" });
  await here.forgetMe();
  expect(await allowed()).toMatchObject({ code: "ABORTED", reason: "forgotten" });
});

test("[BR8] forgetMe leaves nothing, ends every tab's device, and a new person starts unasked", async () => {
  const [here, there] = [await openTab(), await openTab()];
  await here.consent.grant();
  await here.cache.put(TASK, await modelOf(1));
  await here.cache.putTrust(COORDINATOR, await trustedKeys());
  await here.ledger.write("spent", 0);
  await here.pendingUpdates.put(await updateOf(1));
  await here.feedback.put(COORDINATOR, TASK, new Uint8Array(8));
  expect(await stored("feedback")).toHaveLength(1);
  await until(() => there.consent.state === "granted");
  await here.forgetMe();
  for (const store of ["own", "models", "trust", "updates", "feedback"])
    expect(await stored(store)).toEqual([]);
  expect(page.stored.size).toBe(0);
  await until(() => there.signal.aborted);
  for (const { signal, consent } of [here, there]) {
    expect(signal.reason).toMatchObject({ code: "ABORTED", details: { reason: "forgotten" } });
    expect([consent.state, consent.since]).toEqual(["unasked", undefined]);
    expect(await faultOf(consent.grant())).toMatchObject({ code: "ABORTED" });
  }
  const next = await openTab();
  expect(next.clientKey).not.toBe(here.clientKey);
  expect(next.consent.state).toBe("unasked");
  expect(await next.cache.get(TASK)).toBeUndefined();
  expect(await next.cache.getTrust(COORDINATOR)).toBeUndefined();
  expect(await next.ledger.read()).toBeUndefined();
});

test("[BR8] a tab that has slept through it leaves nothing with whoever came after, and takes nothing", async () => {
  const late: readonly ((tab: Device) => Promise<unknown>)[] = [
    async ({ pendingUpdates }) => pendingUpdates.put(await updateOf(9)),
    ({ pendingUpdates }) => pendingUpdates.get(COORDINATOR, TASK),
    ({ ledger }) => ledger.write("old", 1),
    ({ ledger }) => ledger.read(),
    async ({ cache }) => cache.put(TASK, await modelOf(9)),
    async ({ cache }) => cache.putTrust(COORDINATOR, await trustedKeys()),
    ({ consent }) => consent.withdraw(),
    ({ consent }) => consent.grant(),
  ];
  const here = await openTab();
  const asleep = await Promise.all([...late, undefined].map(() => openDeafTab()));
  await here.ledger.write("old", 0);
  await here.forgetMe();
  const next = await openTab();
  await next.ledger.write("new", 0);
  await next.consent.grant();
  await next.pendingUpdates.put(await updateOf(1));
  for (const [i, attempt] of late.entries()) {
    expect(asleep[i]!.signal.aborted).toBe(false);
    expect(await faultOf(attempt(asleep[i]!))).toEqual({ code: "ABORTED", reason: "forgotten" });
    expect(asleep[i]!.signal.aborted).toBe(true);
  }
  await asleep.at(-1)!.forgetMe();
  expect(await next.ledger.read()).toEqual({ revision: 1, text: "new" });
  expect(await next.pendingUpdates.get(COORDINATOR, TASK)).toEqual(await updateOf(1));
  expect(await stored("models")).toEqual([]);
  expect(await stored("trust")).toEqual([]);
  expect((await openTab()).consent.state).toBe("granted");
  expect((await openTab()).clientKey).toBe(next.clientKey);
});

/** A tab that hears nothing of the others. */
async function openDeafTab(): Promise<Device> {
  const { BroadcastChannel } = globalThis;
  Object.assign(globalThis, {
    BroadcastChannel: class {
      close() {}
      postMessage() {}
    },
  });
  try {
    return await openTab();
  } finally {
    Object.assign(globalThis, { BroadcastChannel });
  }
}

test("[BR8] site data that the person clears in the browser's settings forgets them, too", async () => {
  const tab = await openTab();
  await tab.consent.grant();
  await new Promise((resolve, reject) => {
    const request = indexedDB.deleteDatabase(NAME);
    request.onsuccess = resolve;
    request.onerror = reject;
  });
  await until(() => tab.signal.aborted);
  expect(tab.consent.state).toBe("unasked");
  expect((await openTab()).clientKey).not.toBe(tab.clientKey);
});

test("[BR8] a ledger written while another tab forgets the person leaves no mark against the next one", async () => {
  const here = await openTab();
  const mark = createLedgerMark(NAME, () => page.localStorage);
  const database = createDatabase(NAME, () => {});
  const person = await openPerson(database);
  const write: typeof person.write = async (...args) => {
    const result = await person.write(...args);
    await here.forgetMe();
    return result;
  };
  const ledger = createDatabaseLedger({ ...person, write }, mark);
  expect(await faultOf(ledger.write("spent", 0))).toMatchObject({ reason: "forgotten" });
  database.close();
  expect([...page.stored]).toEqual([]);
  const next = await openTab();
  expect(await next.ledger.read()).toBeUndefined();
});

test("[BR9] a database of a newer version is left as it is, and so is what an older tab holds", async () => {
  const tab = await openTab();
  await tab.consent.grant();
  await tab.ledger.write("spent", 0);
  // The older tab does not stand in the way of the newer one.
  (await openDB(NAME, 3)).close();
  const newer = { code: "UNAVAILABLE", reason: "newer" };
  expect(await faultOf(openTab())).toEqual(newer);
  expect(await faultOf(tab.ledger.read())).toEqual(newer);
  await until(() => tab.consent.state === "unasked");
  expect(await stored("own")).toContain(tab.clientKey);
  expect(await stored("own")).toContainEqual({ revision: 1, text: "spent" });
});

test("[BR9] a database of the version before is taken over with all that it holds", async () => {
  const before = await openDB(NAME, 1, {
    upgrade: (db) => {
      void db.createObjectStore("own").put("k".repeat(43), "clientKey");
      const models = db.createObjectStore("models", { keyPath: "taskId" });
      models.createIndex("digest", "checkpoint.digest");
      models.createIndex("version", ["taskId", "checkpoint.modelVersion"]);
      db.createObjectStore("trust");
      db.createObjectStore("updates", { keyPath: ["origin", "taskId"] });
    },
  });
  before.close();
  const tab = await openTab();
  expect(tab.clientKey).toBe("k".repeat(43));
  await tab.pendingUpdates.put(await updateOf(1));
  await tab.feedback.put(COORDINATOR, TASK, new Uint8Array(8));
  expect(await tab.feedback.get(COORDINATOR, TASK)).toEqual(new Uint8Array(8));
});

test("[BR9] blocked storage, a full disk and an insecure page say so, and nothing is lost", async () => {
  const tab = await openTab();
  await tab.ledger.write("one", 0);
  const failWith = (name: string) => {
    const open = () => {
      throw new DOMException("no", name);
    };
    Object.assign(globalThis, { indexedDB: { open } });
  };
  const working = indexedDB;
  for (const [name, reason] of [
    ["SecurityError", "blocked"],
    ["InvalidStateError", "blocked"],
    ["QuotaExceededError", "quota"],
    ["UnknownError", "failed"],
  ] as const) {
    failWith(name);
    expect(await faultOf(openTab())).toEqual({ code: "UNAVAILABLE", reason });
  }
  Reflect.deleteProperty(globalThis, "indexedDB");
  expect(await faultOf(openTab())).toEqual({ code: "UNAVAILABLE", reason: "blocked" });
  Object.assign(globalThis, { indexedDB: working });
  Object.assign(page, { isSecureContext: false });
  expect(await faultOf(openTab())).toEqual({ code: "CONFIG_INVALID" });
  expect(await tab.ledger.read()).toEqual({ revision: 1, text: "one" });
});

test("[BR9] a transaction that fails half way leaves everything as it was", async () => {
  const tab = await openTab();
  await tab.cache.putTrust(COORDINATOR, await trustedKeys());
  const database = createDatabase(NAME, () => {});
  const fault = await faultOf(
    database.write(async (tx) => {
      await tx.objectStore("trust").clear();
      throw new Error("the app's own");
    }),
  );
  expect(fault).toEqual({ code: "UNAVAILABLE", reason: "failed" });
  database.close();
  expect(await tab.cache.getTrust(COORDINATOR)).toEqual(await trustedKeys());
});

test("[BR9] a write that fails half way leaves everything as it was", async () => {
  const tab = await openTab();
  await tab.consent.grant();
  await tab.pendingUpdates.put(await updateOf(1));
  const update = await updateOf(2);
  const fault = await faultOf(
    tab.pendingUpdates.put({ ...update, checksum: { not: () => 1 } as never }),
  );
  expect(fault).toEqual({ code: "UNAVAILABLE", reason: "failed" });
  expect(await tab.pendingUpdates.get(COORDINATOR, TASK)).toEqual(await updateOf(1));
});
