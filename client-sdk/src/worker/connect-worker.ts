/** The page's side: a trainer and a predictor whose work is done in a dedicated Worker. */

import type { Layout } from "@tributary/protocol";
import type { FederatedError } from "@tributary/protocol";

import { abortedError } from "../delay.ts";
import type { LoadedModel, Predictor, Trainer } from "../trainer.ts";
import type { WorkerLike } from "./knock.ts";
import type { WorkerLink } from "./link.ts";
import { openLink } from "./link.ts";

export interface WorkerOptions {
  /** Given to the factories of `serveWorker`; cloned, as `postMessage` does. */
  readonly setup?: unknown;
  /** A Worker that has not answered by then counts as lost. Default 30 s. */
  readonly startTimeoutMs?: number;
  /**
   * A Worker that is silent for so long while it has work counts as lost. Default 2 minutes: one batch of a
   * large model on a slow phone blocks a Worker for a while, and most losses are told of at once.
   */
  readonly silenceTimeoutMs?: number;
}

/**
 * Both throw FederatedError UNAVAILABLE once the Worker did not start, has ended or has stopped answering,
 * and ABORTED after `close()`. What is thrown in the Worker arrives with its code, message and details.
 */
export interface WorkerConnection<Input, Output> extends Disposable {
  /** Reports progress at most ten times a second. */
  readonly trainer: Trainer;
  readonly predictor: Predictor<Input, Output>;
  /** Resolves when the connection is over: with what went wrong, or undefined after `close()`. */
  readonly ended: Promise<FederatedError | undefined>;
  /** Ends the work that runs and frees what was made for this connection. The Worker itself lives on. */
  close(): void;
}

/**
 * Connects to a Worker that calls `serveWorker`, which may still be loading. The Worker stays the app's:
 * its messages, its end. Several connections to one Worker stand apart, each with a trainer of its own.
 */
export function connectWorker<Input = unknown, Output = unknown>(
  worker: WorkerLike,
  { setup, startTimeoutMs = 30_000, silenceTimeoutMs = 120_000 }: WorkerOptions = {},
): WorkerConnection<Input, Output> {
  const link = openLink(worker, { setup, startTimeoutMs, silenceTimeoutMs });
  return {
    trainer: trainerOver(link),
    predictor: predictorOver(link),
    ended: link.ended,
    close: link.close,
    [Symbol.dispose]: link.close,
  };
}

function trainerOver(link: WorkerLink): Trainer {
  let disposed = false;
  const refuseDisposed = () => {
    if (disposed) throw abortedError(new Error("the trainer was disposed"));
  };
  return {
    train: async ({ weights, layout, plan, signal, onProgress }) => {
      refuseDisposed();
      const copy = weights.slice();
      const ask = { weights: copy, layout, plan, progress: onProgress !== undefined };
      return link.ask("train", ask, { transfer: [copy.buffer], signal, onProgress });
    },
    evaluate: async ({ weights, layout, signal }) => {
      refuseDisposed();
      const copy = weights.slice();
      return link.ask("evaluate", { weights: copy, layout }, { transfer: [copy.buffer], signal });
    },
    dispose: () => {
      if (disposed) return;
      disposed = true;
      link.tell({ kind: "disposeTrainer" });
    },
  };
}

function predictorOver<Input, Output>(link: WorkerLink): Predictor<Input, Output> {
  return {
    load: async (weights: Float32Array, layout: Layout) => {
      const copy = weights.slice();
      const model = await link.ask("load", { weights: copy, layout }, { transfer: [copy.buffer] });
      return loadedModel<Input, Output>(link, model);
    },
  };
}

function loadedModel<Input, Output>(link: WorkerLink, model: number): LoadedModel<Input, Output> {
  let disposed = false;
  return {
    predict: async (input) => {
      if (disposed) throw abortedError(new Error("the loaded model was disposed"));
      return (await link.ask("predict", { model, input })) as Output;
    },
    dispose: () => {
      if (disposed) return;
      disposed = true;
      link.tell({ kind: "disposeModel", model });
    },
  };
}
