/** The page's end of the port: requests and their answers, progress, calling off, and the end of it all. */

import { FederatedError } from "@tributary/protocol";

import type { Deferred } from "../deferred.ts";
import { createDeferred } from "../deferred.ts";
import { abortedError, throwIfAborted } from "../delay.ts";
import type { TrainingProgress } from "../trainer.ts";
import { createHeartbeat } from "./heartbeat.ts";
import type { WorkerLike } from "./knock.ts";
import { knock } from "./knock.ts";
import { watchLifeline } from "./lifeline.ts";
import type { Answer, Ask, AskName, Asks, ToPage, ToWorker } from "./messages.ts";
import { unpackError } from "./sent-error.ts";

export interface LinkOptions {
  readonly setup: unknown;
  readonly startTimeoutMs: number;
  readonly silenceTimeoutMs: number;
}

export interface AskOptions {
  /** What moves to the Worker and is gone here. */
  readonly transfer?: Transferable[];
  readonly signal?: AbortSignal;
  readonly onProgress?: ((progress: TrainingProgress) => void) | undefined;
}

export interface WorkerLink {
  /**
   * Sends a request, at once or when the Worker has started, and resolves with its answer.
   * @throws FederatedError ABORTED, UNAVAILABLE once the Worker is lost, MALFORMED_MESSAGE for what cannot
   * be sent; or what was thrown in the Worker
   */
  ask<Name extends AskName>(
    kind: Name,
    body: Asks[Name]["ask"],
    options?: AskOptions,
  ): Promise<Answer<Name>>;
  tell(message: ToWorker): void;
  close(): void;
  /** Resolves when nothing more can be asked: with what went wrong, or undefined after `close()`. */
  readonly ended: Promise<FederatedError | undefined>;
}

interface Pending {
  readonly answer: Deferred<unknown>;
  readonly onProgress: ((progress: TrainingProgress) => void) | undefined;
}

interface Outgoing {
  readonly message: ToWorker;
  readonly transfer: Transferable[];
}

export function openLink(worker: WorkerLike, options: LinkOptions): WorkerLink {
  const { setup, startTimeoutMs, silenceTimeoutMs } = options;
  const pending = new Map<number, Pending>();
  const ended = createDeferred<FederatedError | undefined>();
  /** What waits for the Worker to start, in order. */
  let outbox: Outgoing[] = [{ message: { kind: "setup", setup }, transfer: [] }];
  let port: MessagePort | undefined;
  let lost: FederatedError | undefined;
  let lastId = 0;
  let stopWatching = (): void => undefined;

  const end = (error: FederatedError, reason?: FederatedError) => {
    if (lost !== undefined) return;
    lost = error;
    stopKnocking();
    heartbeat.stop();
    stopWatching();
    outbox = [];
    port?.close();
    for (const { answer } of pending.values()) answer.reject(error);
    pending.clear();
    ended.resolve(reason);
  };
  const lose = (error: FederatedError) => end(error, error);
  const onWorkerEnd = () => lose(new FederatedError("UNAVAILABLE", "the Worker has ended"));

  const settle = (id: number): Deferred<unknown> | undefined => {
    const answer = pending.get(id)?.answer;
    pending.delete(id);
    if (pending.size === 0) heartbeat.stop();
    return answer;
  };

  const send = ({ message, transfer }: Outgoing) => {
    if (lost !== undefined) return;
    try {
      port?.postMessage(message, transfer);
    } catch (error) {
      const fault = cannotBeSent(message, error);
      if ("id" in message) settle(message.id)?.reject(fault);
      else lose(fault);
    }
  };
  const post = (outgoing: Outgoing) => {
    if (port === undefined) outbox.push(outgoing);
    else send(outgoing);
  };
  const tell = (message: ToWorker) => {
    if (lost === undefined) post({ message, transfer: [] });
  };

  const heartbeat = createHeartbeat(
    silenceTimeoutMs,
    () => tell({ kind: "ping" }),
    () => lose(new FederatedError("UNAVAILABLE", silence(silenceTimeoutMs))),
  );

  const hear = (message: ToPage) => {
    heartbeat.heard();
    switch (message.kind) {
      case "welcome":
      case "pong":
        return;
      case "progress":
        return pending.get(message.id)?.onProgress?.(message.progress);
      case "answer":
        return settle(message.id)?.resolve(message.value);
      case "fault":
        return settle(message.id)?.reject(unpackError(message.error));
      case "unreadable": {
        lose(unreadable("the page"));
        return;
      }
    }
  };

  const stopKnocking = knock(worker, startTimeoutMs, {
    onFailure: lose,
    onOpen: (opened, lifeline) => {
      port = opened;
      if (lifeline !== undefined) stopWatching = watchLifeline(lifeline, onWorkerEnd);
      opened.onmessage = ({ data }: MessageEvent<ToPage>) => hear(data);
      opened.onmessageerror = () => lose(unreadable("the Worker"));
      // Browsers tell of a port whose other end is gone late or never, Node at once.
      opened.addEventListener("close", onWorkerEnd);
      const waiting = outbox;
      outbox = [];
      for (const outgoing of waiting) send(outgoing);
      if (pending.size > 0) heartbeat.start();
    },
  });

  const callOff = (id: number) => {
    const unsent = outbox.findIndex(({ message }) => "id" in message && message.id === id);
    if (unsent === -1) {
      tell({ kind: "abort", id });
      return;
    }
    outbox.splice(unsent, 1);
    settle(id)?.reject(abortedError());
  };

  return {
    ask: async <Name extends AskName>(
      kind: Name,
      body: Asks[Name]["ask"],
      { transfer = [], signal, onProgress }: AskOptions = {},
    ) => {
      if (signal !== undefined) throwIfAborted(signal);
      if (lost !== undefined) throw lost;
      const id = ++lastId;
      const answer = createDeferred<unknown>();
      pending.set(id, { answer, onProgress });
      // Work ends when the Worker says so, also after an abort: until then it still uses the processor.
      const onAbort = () => callOff(id);
      signal?.addEventListener("abort", onAbort);
      if (port !== undefined) heartbeat.start();
      post({ message: { ...body, kind, id } as unknown as Ask, transfer });
      try {
        return await answer.promise;
      } finally {
        signal?.removeEventListener("abort", onAbort);
      }
    },
    tell,
    close: () => {
      tell({ kind: "close" });
      end(abortedError());
    },
    ended: ended.promise,
  };
}

function cannotBeSent(message: ToWorker, cause: unknown): FederatedError {
  const what = message.kind === "predict" ? "the input" : `"${message.kind}"`;
  const reason = cause instanceof Error ? cause.message : "it cannot be cloned";
  return new FederatedError(
    message.kind === "setup" ? "CONFIG_INVALID" : "MALFORMED_MESSAGE",
    `${what} cannot be sent to the Worker: ${reason}`,
    { cause },
  );
}

const silence = (timeoutMs: number) => `the Worker has not answered for ${timeoutMs} ms`;

const unreadable = (side: string) =>
  new FederatedError("MALFORMED_MESSAGE", `a message from ${side} could not be read`);
