/** Knocks at a Worker until it opens: it may still load, fail to, or never have heard of us. */

import { FederatedError } from "@tributary/protocol";

import { nameLifeline } from "./lifeline.ts";
import type { Knock, ToPage, ToWorker } from "./messages.ts";
import { WORKER_PROTOCOL } from "./messages.ts";

/** What is used of a Worker. */
export interface WorkerLike {
  postMessage(message: unknown, transfer: Transferable[]): void;
  addEventListener(type: "error", listener: (event: Event) => void): void;
  removeEventListener(type: "error", listener: (event: Event) => void): void;
}

export interface KnockEvents {
  /** The port on which the Worker answered, and the lifeline that it holds, if any. */
  readonly onOpen: (port: MessagePort, lifeline: string | undefined) => void;
  readonly onFailure: (error: FederatedError) => void;
}

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1_000;

/**
 * A message to a Worker that does not listen yet is lost (a module that awaits something at its top, say),
 * so a knock is repeated until it is answered. The pauses are added up, not the time on the clock: while a
 * computer sleeps nobody is late.
 * @returns stops knocking
 */
export function knock(
  worker: WorkerLike,
  timeoutMs: number,
  { onOpen, onFailure }: KnockEvents,
): () => void {
  const ports = new Set<MessagePort>();
  let timer: ReturnType<typeof setTimeout> | undefined;

  const stop = (kept?: MessagePort) => {
    clearTimeout(timer);
    worker.removeEventListener("error", onError);
    for (const port of ports) {
      if (port === kept) continue;
      port.postMessage({ kind: "close" } satisfies ToWorker);
      port.close();
    }
    ports.clear();
  };
  const fail = (error: FederatedError) => {
    stop();
    onFailure(error);
  };
  const onError = (event: Event) => {
    const reason =
      "message" in event && typeof event.message === "string" && event.message !== ""
        ? event.message
        : "its script could not be loaded";
    fail(new FederatedError("UNAVAILABLE", `the Worker did not start: ${reason}`));
  };

  const offerPort = () => {
    const { port1: ours, port2: theirs } = new MessageChannel();
    const lifeline = nameLifeline();
    ports.add(ours);
    ours.onmessage = ({ data }: MessageEvent<ToPage>) => {
      if (data.kind !== "welcome" || !ports.has(ours)) return;
      if (data.protocol !== WORKER_PROTOCOL) {
        fail(otherBuild(data.protocol));
        return;
      }
      stop(ours);
      onOpen(ours, data.held ? lifeline : undefined);
    };
    const message: Knock = { tributaryWorker: WORKER_PROTOCOL, port: theirs, lifeline };
    worker.postMessage(message, [theirs]);
  };

  const knockAgain = (pauseMs: number, leftMs: number) => {
    offerPort();
    const nextMs = Math.min(pauseMs, leftMs);
    timer = setTimeout(() => {
      if (leftMs > nextMs) knockAgain(Math.min(2 * pauseMs, LONGEST_PAUSE_MS), leftMs - nextMs);
      else fail(notStarted(timeoutMs));
    }, nextMs);
  };

  worker.addEventListener("error", onError);
  knockAgain(FIRST_PAUSE_MS, timeoutMs);
  return stop;
}

const notStarted = (timeoutMs: number) =>
  new FederatedError(
    "UNAVAILABLE",
    `the Worker did not answer within ${timeoutMs} ms; its file must call serveWorker()`,
  );

const otherBuild = (protocol: number) =>
  new FederatedError(
    "CONFIG_INVALID",
    `page and Worker come from different builds of the SDK (they speak ${WORKER_PROTOCOL} and ` +
      `${protocol}); build and deploy them together`,
  );
