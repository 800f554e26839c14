/** A browser's surroundings for tests in Node: IndexedDB in memory, and a page whose state the test sets. */

import "fake-indexeddb/auto";
import { IDBFactory } from "fake-indexeddb";

import type { World } from "../../client-sdk/src/browser/world.ts";

/** A fresh browser profile: everything that the former one kept is gone. */
export function freshProfile(): IDBFactory {
  const indexedDB = new IDBFactory();
  Object.assign(globalThis, { indexedDB });
  return indexedDB;
}

type Locks = NonNullable<NonNullable<World["navigator"]>["locks"]>;

/** Web Locks of one origin, exclusive ones only, as the tabs of a browser share them. */
export function createLocks(): Locks & { readonly held: ReadonlySet<string> } {
  const held = new Set<string>();
  const waiting: { name: string; start: () => void }[] = [];
  const next = (name: string) => {
    const i = waiting.findIndex((entry) => entry.name === name);
    if (i >= 0 && !held.has(name)) waiting.splice(i, 1)[0]!.start();
  };
  const request = (
    name: string,
    { signal }: { signal?: AbortSignal },
    callback: (lock: unknown) => unknown,
  ) =>
    new Promise<unknown>((resolve, reject) => {
      const entry = {
        name,
        start: () => {
          held.add(name);
          const use = async () => {
            await Promise.resolve();
            try {
              return await callback({ name });
            } finally {
              held.delete(name);
              next(name);
            }
          };
          resolve(use());
        },
      };
      waiting.push(entry);
      signal?.addEventListener("abort", () => {
        const i = waiting.indexOf(entry);
        if (i < 0) return;
        waiting.splice(i, 1);
        reject(signal.reason as Error);
      });
      next(name);
    });
  return { held, request: request as Locks["request"] };
}

/** A page: set what it has, then tell it of the change. */
export class FakePage extends EventTarget {
  readonly document = Object.assign(new EventTarget(), { visibilityState: "visible" });
  readonly connection = Object.assign(new EventTarget(), { saveData: false, type: "wifi" });
  readonly battery = Object.assign(new EventTarget(), { charging: false, level: 1 });
  readonly stored = new Map<string, string>();
  persistAsked = 0;
  readonly navigator: NonNullable<World["navigator"]>;
  readonly localStorage = {
    getItem: (key: string) => this.stored.get(key) ?? null,
    setItem: (key: string, value: string) => void this.stored.set(key, value),
    removeItem: (key: string) => void this.stored.delete(key),
  } as Storage;

  constructor(locks: Locks = createLocks()) {
    super();
    this.navigator = {
      locks,
      connection: this.connection,
      getBattery: async () => this.battery,
      storage: {
        persist: async () => {
          this.persistAsked += 1;
          return true;
        },
      },
    };
  }

  show(visibilityState: "visible" | "hidden"): void {
    this.document.visibilityState = visibilityState;
    this.document.dispatchEvent(new Event("visibilitychange"));
  }

  network(change: { saveData?: boolean; type?: string }): void {
    Object.assign(this.connection, change);
    this.connection.dispatchEvent(new Event("change"));
  }

  charge(change: { charging?: boolean; level?: number }): void {
    Object.assign(this.battery, change);
    this.battery.dispatchEvent(new Event("levelchange"));
  }

  /** @param persisted of `pagehide`: it may come back */
  tell(type: string, persisted = true): void {
    this.dispatchEvent(Object.assign(new Event(type), { persisted }));
    this.document.dispatchEvent(new Event(type));
  }

  get world(): World {
    return this;
  }
}

/** Resolves once `holds` does, looking again in each turn of the event loop. @throws Error after 10 s */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`it never came true: ${String(holds)}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
