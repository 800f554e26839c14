import { afterEach, beforeEach, expect, test } from "vitest";

import { createLocks, FakePage, freshProfile, until } from "../../../test/support/device-world.ts";
import type { TrainingConditions } from "../conditions.ts";
import type { Device } from "./device.ts";
import { openDevice } from "./device.ts";
import type { ConditionOptions } from "./sensors.ts";
import { wakeWhenBack } from "./wake.ts";

const opened: Device[] = [];
const stops: (() => void)[] = [];
beforeEach(() => void freshProfile());
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
  for (const device of opened.splice(0)) device.close();
});

interface Tab {
  readonly page: FakePage;
  readonly device: Device;
  readonly conditions: TrainingConditions;
  /** Every `against` that listeners were told of. */
  readonly told: string[];
  readonly stop: () => void;
}

/** A tab whose person has agreed, and that wants to train. */
async function openTab(options?: ConditionOptions, page = new FakePage()): Promise<Tab> {
  const device = await openDevice({}, page.world);
  opened.push(device);
  await device.consent.grant();
  const conditions = device.conditions(options);
  const told: string[] = [];
  const stop = conditions.subscribe(() => told.push(conditions.against.join()));
  stops.push(stop);
  return { page, device, conditions, told, stop };
}

const mayTrain = ({ conditions }: Tab) => until(() => conditions.against.length === 0);
const standsOff = ({ conditions }: Tab, reason: string) =>
  until(() => conditions.against.join() === reason);

test("[BR20] unasked and withdrawn stand against training, in every tab, and so does being forgotten", async () => {
  const page = new FakePage();
  const device = await openDevice({}, page.world);
  opened.push(device);
  const conditions = device.conditions();
  stops.push(conditions.subscribe(() => {}));
  const tab = { page, device, conditions, told: [], stop: () => {} };
  await standsOff(tab, "consent");
  const other = await openDevice({}, page.world);
  opened.push(other);
  await other.consent.grant();
  await mayTrain(tab);
  await other.consent.withdraw();
  await standsOff(tab, "consent");
  await other.consent.grant();
  await mayTrain(tab);
  await other.forgetMe();
  await standsOff(tab, "consent");
});

test("[BR20] whoever reads what stands against training before its listeners takes nothing from them", async () => {
  const page = new FakePage();
  const device = await openDevice({}, page.world);
  opened.push(device);
  await device.consent.grant();
  const conditions = device.conditions();
  const read: string[] = [];
  device.consent.subscribe(() => void read.push(conditions.against.join()));
  const told: string[] = [];
  stops.push(conditions.subscribe(() => void told.push(conditions.against.join())));
  await until(() => told.at(-1) === "");
  await device.consent.withdraw();
  expect(read[0]).toBe("consent");
  expect(told.at(-1)).toBe("consent");
});

test("[BR20] a listener of the app's that throws keeps no training going, and no answer from being remembered", async () => {
  const faults: unknown[] = [];
  Object.assign(globalThis, { reportError: (error: unknown) => void faults.push(error) });
  try {
    const tab = await openTab();
    await mayTrain(tab);
    const { consent } = tab.device;
    const fault = new Error("the app's own");
    const fail = () => {
      throw fault;
    };
    const late = tab.device.conditions();
    stops.push(consent.subscribe(fail), tab.conditions.subscribe(fail));
    const told: string[] = [];
    stops.push(late.subscribe(() => void told.push(late.against.join())));
    await consent.withdraw();
    expect(told.at(-1)).toBe("consent");
    expect(faults).toContain(fault);
    const again = await openDevice({}, tab.page.world);
    opened.push(again);
    expect(again.consent.state).toBe("withdrawn");
  } finally {
    Reflect.deleteProperty(globalThis, "reportError");
  }
});

test("[BR20] a low battery, the wish to save data and a metered network stand against training", async () => {
  const tab = await openTab();
  const { page } = tab;
  await mayTrain(tab);
  page.charge({ level: 0.29 });
  expect(tab.conditions.against).toEqual(["battery"]);
  page.charge({ charging: true });
  await mayTrain(tab);
  page.charge({ charging: false, level: 0.3 });
  await mayTrain(tab);
  page.network({ saveData: true });
  expect(tab.conditions.against).toEqual(["saveData"]);
  page.network({ type: "cellular" });
  expect(tab.conditions.against).toEqual(["saveData", "metered"]);
  page.network({ saveData: false });
  expect(tab.conditions.against).toEqual(["metered"]);
  page.network({ type: "wifi" });
  await mayTrain(tab);
  expect(tab.told.filter((reasons) => reasons !== "otherTab")).toEqual([
    "",
    "battery",
    "",
    "saveData",
    "saveData,metered",
    "metered",
    "",
  ]);
});

test("[BR20] an app may allow each of them, and set the charge that is enough", async () => {
  const tab = await openTab({
    ...{ whenHidden: "train", minBattery: 0, onSaveData: "train", onMetered: "train" },
  });
  tab.page.charge({ level: 0 });
  tab.page.network({ saveData: true, type: "cellular" });
  tab.page.show("hidden");
  await mayTrain(tab);
  tab.stop();
  const strict = await openTab({ minBattery: 0.9 }, tab.page);
  tab.page.network({ saveData: false, type: "wifi" });
  tab.page.charge({ level: 0.8 });
  tab.page.show("visible");
  await standsOff(strict, "battery");
});

test("[BR21] a tab out of sight stops after the grace; a glance away costs nothing", async () => {
  const tab = await openTab({ hiddenAfterMs: 20 });
  await mayTrain(tab);
  const before = tab.told.length;
  tab.page.show("hidden");
  tab.page.show("visible");
  tab.page.show("hidden");
  expect(tab.conditions.against).toEqual([]);
  expect(tab.told).toHaveLength(before);
  await standsOff(tab, "hidden");
  tab.page.show("visible");
  await mayTrain(tab);
});

test("[BR21] a tab that opens out of sight, or is put aside by the browser, has no grace", async () => {
  const page = new FakePage();
  page.show("hidden");
  const tab = await openTab({ hiddenAfterMs: 1e6 }, page);
  await standsOff(tab, "hidden");
  page.show("visible");
  await mayTrain(tab);
  for (const [away, back] of [
    ["freeze", "resume"],
    ["pagehide", "pageshow"],
  ] as const) {
    for (const { conditions } of [tab, await openTab({ whenHidden: "train" }, page)]) {
      page.tell(away);
      expect(conditions.against).toEqual(["hidden"]);
      page.tell(back);
      expect(conditions.against).not.toContain("hidden");
    }
    // Whoever comes back out of sight is not given a grace anew.
    if (away === "freeze") {
      page.show("hidden");
      page.tell(away);
      page.tell(back);
      expect(tab.conditions.against).toEqual(["hidden"]);
      page.tell("visibilitychange");
      expect(tab.conditions.against).toEqual(["hidden"]);
      page.show("visible");
    }
  }
});

test("[BR21] a page that goes for good, as in a reload, gives nothing back on its way", async () => {
  const tab = await openTab();
  await mayTrain(tab);
  tab.page.tell("pagehide", false);
  expect(tab.conditions.against).toEqual([]);
  expect(tab.told.at(-1)).toBe("");
});

test("[BR22] of several tabs one may train, and the next one when it closes, hides or has enough", async () => {
  const locks = createLocks();
  const tabs: Tab[] = [];
  for (let i = 0; i < 4; i++) {
    tabs.push(await openTab({ hiddenAfterMs: 0 }, new FakePage(locks)));
    await mayTrain(tabs[0]!);
  }
  const [first, second, third, fourth] = tabs as [Tab, Tab, Tab, Tab];
  for (const tab of [second, third, fourth]) await standsOff(tab, "otherTab");
  first.page.show("hidden");
  await mayTrain(second);
  expect(first.conditions.against).toEqual(["hidden"]);
  // One that may not train does not stand in the line.
  third.page.charge({ level: 0 });
  second.device.close();
  await mayTrain(fourth);
  expect(second.conditions.against).toEqual(["consent"]);
  third.page.charge({ level: 1 });
  await standsOff(third, "otherTab");
  fourth.stop();
  await mayTrain(third);
  third.stop();
  await until(() => locks.held.size === 0);
});

test("[BR22] what trains in one tab shares its turn; people of other names have their own", async () => {
  const page = new FakePage();
  const tab = await openTab({}, page);
  const again = tab.device.conditions();
  const stop = again.subscribe(() => {});
  await mayTrain(tab);
  expect(again.against).toEqual([]);
  tab.stop();
  expect(again.against).toEqual([]);
  const neighbour = await openDevice({ name: "neighbour" }, page.world);
  opened.push(neighbour);
  await neighbour.consent.grant();
  const theirs = neighbour.conditions();
  stops.push(
    theirs.subscribe(() => {}),
    stop,
  );
  await until(() => theirs.against.length === 0);
});

test("[BR22] a turn is taken only by whoever listens, and never without Web Locks", async () => {
  const locks = createLocks();
  const tab = await openTab({}, new FakePage(locks));
  await mayTrain(tab);
  expect(tab.device.conditions().against).toEqual(["otherTab"]);
  tab.stop();
  expect(tab.conditions.against).toEqual(["otherTab"]);
  const page = new FakePage();
  Object.assign(page.navigator, { locks: undefined });
  const lockless = await openTab({}, page);
  await standsOff(lockless, "otherTab");
});

test("[BR22] a wish that is taken back before it is granted gives no turn", async () => {
  const locks = createLocks();
  const tab = await openTab({}, new FakePage(locks));
  await mayTrain(tab);
  tab.stop();
  await until(() => locks.held.size === 0);
  tab.conditions.subscribe(() => {})();
  const other = await openTab({}, new FakePage(locks));
  await mayTrain(other);
  stops.push(tab.conditions.subscribe(() => {}));
  expect(tab.conditions.against).toEqual(["otherTab"]);
});

test("[BR22] a turn that is stolen, or refused, is none, and the next wish asks again", async () => {
  const locks = createLocks();
  const page = new FakePage(locks);
  let steal = () => {};
  const theft = new Promise<never>((_, reject) => {
    steal = () => reject(new DOMException("stolen", "AbortError"));
  });
  Object.assign(page.navigator, {
    locks: {
      request: (...args: Parameters<typeof locks.request>) =>
        Promise.race([locks.request(...args), theft]),
    },
  });
  const tab = await openTab({}, page);
  await mayTrain(tab);
  steal();
  await standsOff(tab, "otherTab");
  Object.assign(page.navigator, { locks: createLocks() });
  page.network({ saveData: true });
  page.network({ saveData: false });
  await mayTrain(tab);
});

test("[BR23] a browser that does not tell has nothing against training", async () => {
  const page = new FakePage();
  Object.assign(page.navigator, { connection: undefined, getBattery: undefined });
  await mayTrain(await openTab({}, page));
  const shy = new FakePage();
  const getBattery = async () => {
    throw new DOMException("not in this frame", "NotAllowedError");
  };
  Object.assign(shy.navigator, { connection: new EventTarget(), getBattery });
  await mayTrain(await openTab({}, shy));
  // As in a Worker: no document, and a window's events never come.
  const worker = { navigator: { locks: createLocks() } };
  const device = await openDevice({}, worker);
  opened.push(device);
  const conditions = device.conditions();
  stops.push(conditions.subscribe(() => {}));
  await until(() => conditions.against.length === 0);
});

test("[BR23] a battery that is still silent stands against training until it answers", async () => {
  const page = new FakePage();
  let answer = () => {};
  const getBattery = () =>
    new Promise((resolve) => {
      answer = () => resolve(page.battery);
    });
  Object.assign(page.navigator, { getBattery });
  const tab = await openTab({}, page);
  expect(tab.conditions.against).toEqual(["battery"]);
  answer();
  await mayTrain(tab);
});

test("[BR24] a client wakes when the network, the page or the machine is back, until it is told to stop", () => {
  const page = new FakePage();
  let woken = 0;
  const stop = wakeWhenBack({ wake: () => void (woken += 1) }, page.world);
  const counts = ["online", "pageshow", "resume"].map((type) => {
    page.dispatchEvent(new Event(type));
    page.document.dispatchEvent(new Event(type));
    return woken;
  });
  expect(counts).toEqual([1, 2, 3]);
  page.show("hidden");
  expect(woken).toBe(3);
  page.show("visible");
  expect(woken).toBe(4);
  stop();
  page.show("visible");
  page.tell("online");
  expect(woken).toBe(4);
});
