/** A page with a device and nothing else: no coordinator, no training. */

import type { ConditionOptions, Device } from "@tributary/client-sdk/browser";
import { openDevice } from "@tributary/client-sdk/browser";
import type { TrainingConditions } from "@tributary/client-sdk";
import type { Checksum, Digest, RoundId, TaskId } from "@tributary/protocol";
import { isFederatedError } from "@tributary/protocol";

import { pickBackend } from "./backends.ts";
import { expose, tell } from "./expose.ts";

let device: Device | undefined;
let conditions: TrainingConditions | undefined;
let stop: (() => void) | undefined;

const opened = (): Device => {
  if (device === undefined) throw new Error("the page has no device yet");
  return device;
};

const ORIGIN = "https://coordinator.example";
const TASK = "digits" as TaskId;

export const functions = expose({
  /** Tells `consent` on each change, `over` with the reason when the device is at its end. */
  open: async (name?: string) => {
    device = await openDevice(name === undefined ? {} : { name });
    const { consent, signal, clientKey } = device;
    consent.subscribe(() => tell("consent", consent.state));
    signal.addEventListener("abort", () => tell("over", (signal.reason as Error).message));
    return clientKey;
  },
  consent: () => opened().consent.state,
  grant: async () => opened().consent.grant(),
  withdraw: async () => opened().consent.withdraw(),
  forgetMe: async () => opened().forgetMe(),
  close: () => opened().close(),
  /** Wants to train; tells `against` on each change. */
  want: (options: ConditionOptions = {}) => {
    conditions = opened().conditions(options);
    const own = conditions;
    stop = own.subscribe(() => tell("against", own.against));
    tell("against", own.against);
  },
  unwant: () => stop?.(),
  against: () => conditions?.against,
  /** Keeps an update of so many bytes; the reason where that is refused. */
  keep: async (bytes: number) => {
    try {
      await opened().pendingUpdates.put({
        ...{ origin: ORIGIN, taskId: TASK, roundId: `${TASK}:1` as RoundId },
        // Bytes that no disk makes smaller.
        frame: randomBytes(bytes),
        ...{ checksum: "0" as Checksum, madeFor: "0" as Digest },
      });
      return "kept";
    } catch (error) {
      return reasonOf(error);
    }
  },
  kept: async () => (await opened().pendingUpdates.get(ORIGIN, TASK))?.frame.length,
  spend: async (text: string, revision: number) => opened().ledger.write(text, revision),
  spent: async () => opened().ledger.read(),
  /** An app of its own that has the database open and lets go of it for nobody. */
  holdOpen: (name: string) =>
    new Promise<void>((resolve) => {
      const request = indexedDB.open(name);
      request.onsuccess = () => resolve();
    }),
  count: async (name: string) =>
    new Promise<number>((resolve) => {
      const request = indexedDB.open(name);
      request.onsuccess = () => {
        const { result } = request;
        const stores = [...result.objectStoreNames];
        const tx = result.transaction(stores);
        let count = 0;
        for (const store of stores) {
          const counting = tx.objectStore(store).count();
          counting.onsuccess = () => (count += counting.result);
        }
        tx.oncomplete = () => {
          result.close();
          resolve(count);
        };
      };
    }),
  /** Stops the page's thread for as long as another tab takes to write this into the shared storage. */
  sleepUntilMarked: (mark: string) => {
    tell("asleep");
    setTimeout(() => {
      while (localStorage.getItem(mark) === null);
    }, 50);
  },
  mark: (mark: string) => localStorage.setItem(mark, "1"),
  unmark: (mark: string) => localStorage.removeItem(mark),
  /** What a frame without an origin of its own, as advertisements have it, is told. */
  openInSandbox: () =>
    new Promise<string>((resolve) => {
      const frame = document.createElement("iframe");
      frame.sandbox.add("allow-scripts");
      frame.src = "/sandboxed";
      addEventListener("message", ({ data }: MessageEvent<string>) => resolve(data), {
        once: true,
      });
      document.body.append(frame);
    }),
  backendHere: async () => pickBackend(),
  backendInWorker: () =>
    new Promise((resolve) => {
      const worker = new Worker(new URL("./backend-worker.ts", import.meta.url), {
        type: "module",
      });
      worker.onmessage = ({ data }) => {
        worker.terminate();
        resolve(data);
      };
    }),
});

/** In pieces, as the source gives them. */
function randomBytes(count: number): Uint8Array {
  const bytes = new Uint8Array(count);
  for (let at = 0; at < count; at += 65_536) {
    crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  }
  return bytes;
}

const reasonOf = (error: unknown): string =>
  isFederatedError(error) ? `${error.code} ${String(error.details?.reason)}` : String(error);
