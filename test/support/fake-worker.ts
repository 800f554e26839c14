/** A dedicated Worker without a thread: its messages pass real ports, so memory moves and clones are made. */

import type { WorkerLike, WorkerScope } from "@tributary/client-sdk/worker";

export interface FakeWorker extends WorkerLike, Disposable {
  /** The global scope inside; a file that listens late calls `serveWorker` on it later. */
  readonly scope: WorkerScope;
  /** What arrived over its ports: the kind of each message. */
  readonly heard: readonly string[];
  /** What the app itself says to its Worker. */
  say(message: unknown): void;
  /** As if the script could not be loaded, or threw while it loaded. */
  fail(message: string): void;
  /** As if the Worker ended: every port that it has closes. */
  end(): void;
  /** As if the Worker hung: what arrives is not looked at. */
  hang(): void;
}

export function startFakeWorker(file: (scope: WorkerScope) => void = () => undefined): FakeWorker {
  const { port1: outside, port2: inside } = new MessageChannel();
  const page = new EventTarget();
  const opened: MessagePort[] = [];
  const heard: string[] = [];
  let hung = false;
  // First in line, so that it sees also what the SDK keeps from the app.
  inside.addEventListener("message", (event: MessageEvent<unknown>) => {
    const port = (event.data as { port?: MessagePort } | null)?.port;
    if (port === undefined) return;
    opened.push(port);
    port.addEventListener("message", (message: MessageEvent<{ kind: string }>) => {
      heard.push(message.data.kind);
      if (hung) message.stopImmediatePropagation();
    });
  });
  file(inside);
  inside.start();
  const close = () => {
    outside.close();
    for (const port of opened) port.close();
  };
  return {
    scope: inside,
    heard,
    postMessage: (message, transfer) => {
      outside.postMessage(message, transfer);
    },
    addEventListener: (type, listener) => {
      page.addEventListener(type, listener);
    },
    removeEventListener: (type, listener) => {
      page.removeEventListener(type, listener);
    },
    say: (message) => {
      outside.postMessage(message);
    },
    fail: (message) => {
      page.dispatchEvent(Object.assign(new Event("error"), { message }));
    },
    end: close,
    hang: () => {
      hung = true;
    },
    [Symbol.dispose]: close,
  };
}
