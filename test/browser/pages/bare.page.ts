/** A page with nothing of Tributary in it: what the tests' own machinery is tried on. */

import { expose, tell } from "./expose.ts";

export const functions = expose({
  add: (a: number, b: number) => a + b,
  /** Tells `said` with the text, a moment later. */
  sayLater: (text: string) => void setTimeout(() => tell("said", text), 0),
  complain: (text: string) => {
    // eslint-disable-next-line no-console -- what the test is about
    console.error(text);
  },
  failLater: (text: string) => void setTimeout(() => fail(text), 0),
  failInWorker: (text: string) => {
    const worker = new Worker(new URL("./failing-worker.ts", import.meta.url), { type: "module" });
    worker.postMessage(text);
  },
  // eslint-disable-next-line @typescript-eslint/no-implied-eval -- so is this
  evaluateText: (text: string): unknown => Function(text)(),
  /** Status, and the headers that this page may read. */
  reach: async (url: string, init: RequestInit = {}) => {
    const { status, headers } = await fetch(url, init);
    return { status, headers: Object.fromEntries(headers) };
  },
  isolated: () => crossOriginIsolated,
});

function fail(text: string): never {
  throw new Error(text);
}
