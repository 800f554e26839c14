/** The Worker's side: trains and predicts for the pages that connect, each over a port of its own. */

import { FederatedError } from "@tributary/protocol";

import { once } from "../once.ts";
import type { LoadedModel, Predictor, Trainer } from "../trainer.ts";
import { holdLifeline } from "./lifeline.ts";
import type { Answer, Ask, AskName, Knock, ToPage, ToWorker } from "./messages.ts";
import { isKnock, movable, WORKER_PROTOCOL } from "./messages.ts";
import { paceProgress } from "./paced-progress.ts";
import { packError } from "./sent-error.ts";

/** What a Worker serves: made for each connection when it first asks for it, once. */
export interface WorkerParts<Input, Output, Setup> {
  /** @param setup the Worker's copy of what the page gave to `connectWorker` */
  readonly trainer?: (setup: Setup) => Trainer | Promise<Trainer>;
  /** Its input and output are cloned on their way, so they must be what structured cloning knows. */
  readonly predictor?: (
    setup: Setup,
  ) => Predictor<Input, Output> | Promise<Predictor<Input, Output>>;
}

/** What is used of a dedicated Worker's global scope. */
export interface WorkerScope {
  addEventListener(type: "message", listener: (event: MessageEvent<unknown>) => void): void;
}

/**
 * Answers `connectWorker` from inside a dedicated Worker. Call it early in the Worker's file: the choice of
 * a backend and what else takes time belongs into the factories, which may be async; one that fails fails
 * the request, and is called again by the next. The app's own messages to its Worker are left alone.
 */
export function serveWorker<Input, Output, Setup = unknown>(
  parts: WorkerParts<Input, Output, Setup>,
  scope: WorkerScope = globalThis,
): void {
  scope.addEventListener("message", (event) => {
    if (!isKnock(event.data)) return;
    event.stopImmediatePropagation();
    void open(parts, event.data);
  });
}

/** The page hears of the open port when it can also hear of the Worker's end. */
async function open<Input, Output, Setup>(
  parts: WorkerParts<Input, Output, Setup>,
  { port, lifeline }: Knock,
): Promise<void> {
  const letGo = lifeline === undefined ? undefined : await holdLifeline(lifeline);
  servePort(parts, port, letGo);
  const welcome: ToPage = { kind: "welcome", protocol: WORKER_PROTOCOL, held: letGo !== undefined };
  port.postMessage(welcome);
}

interface Running {
  readonly kind: AskName;
  readonly abort: AbortController;
}

function servePort<Input, Output, Setup>(
  parts: WorkerParts<Input, Output, Setup>,
  port: MessagePort,
  letGo: (() => void) | undefined,
): void {
  let setup: unknown;
  let closed = false;
  const trainer = once(() => part("trainer", parts.trainer)(setup as Setup));
  const predictor = once(() => part("predictor", parts.predictor)(setup as Setup));
  const models = new Map<number, LoadedModel<Input, Output>>();
  const running = new Map<number, Running>();

  const post = (message: ToPage, transfer: Transferable[] = []) => {
    if (!closed) port.postMessage(message, transfer);
  };

  const train = async (
    { id, weights, layout, plan, progress }: Ask<"train">,
    signal: AbortSignal,
  ): Promise<Answer<"train">> => {
    const request = { weights, layout, plan, signal };
    const { tell, flush } = paceProgress((latest) => {
      post({ kind: "progress", id, progress: latest });
    });
    const made = await trainer.get();
    const result = await made.train(progress ? { ...request, onProgress: tell } : request);
    flush();
    return { ...result, weights: movable(result.weights) };
  };

  const load = async ({ id, weights, layout }: Ask<"load">): Promise<number> => {
    const made = await predictor.get();
    const model = await made.load(weights, layout);
    if (closed) model.dispose();
    else models.set(id, model);
    return id;
  };

  const predict = async ({ model, input }: Ask<"predict">): Promise<Output> => {
    const loaded = models.get(model);
    if (loaded === undefined) throw new FederatedError("ABORTED", "the loaded model was disposed");
    return loaded.predict(input as Input);
  };

  const run = async (ask: Ask, signal: AbortSignal): Promise<void> => {
    const { id } = ask;
    switch (ask.kind) {
      case "train": {
        const value = await train(ask, signal);
        // The only answer whose memory moves: what a predictor gives may be its own to keep.
        post({ kind: "answer", id, value }, [value.weights.buffer]);
        return;
      }
      case "evaluate": {
        const { weights, layout } = ask;
        const value = await (await trainer.get()).evaluate?.({ weights, layout, signal });
        post({ kind: "answer", id, value });
        return;
      }
      case "load": {
        post({ kind: "answer", id, value: await load(ask) });
        return;
      }
      case "predict": {
        post({ kind: "answer", id, value: await predict(ask) });
        return;
      }
    }
  };

  const answer = async (ask: Ask): Promise<void> => {
    const abort = new AbortController();
    running.set(ask.id, { kind: ask.kind, abort });
    try {
      await run(ask, abort.signal);
    } catch (error) {
      post({ kind: "fault", id: ask.id, error: packError(error) });
    } finally {
      running.delete(ask.id);
    }
  };

  const disposeTrainer = () => {
    for (const { kind, abort } of running.values()) {
      if (kind === "train" || kind === "evaluate") abort.abort(calledOff());
    }
    trainer.made()?.then(
      (made) => made.dispose?.(),
      () => undefined, // What could not be made needs no disposal.
    );
  };

  const disposeModel = (id: number) => {
    models.get(id)?.dispose();
    models.delete(id);
  };

  const close = () => {
    if (closed) return;
    closed = true;
    disposeTrainer();
    for (const id of models.keys()) disposeModel(id);
    port.close();
    letGo?.();
  };

  const hear = (message: ToWorker): void => {
    switch (message.kind) {
      case "setup":
        setup = message.setup;
        return;
      case "abort":
        return running.get(message.id)?.abort.abort(calledOff());
      case "disposeModel": {
        disposeModel(message.model);
        return;
      }
      case "disposeTrainer": {
        disposeTrainer();
        return;
      }
      case "ping": {
        post({ kind: "pong" });
        return;
      }
      case "close": {
        close();
        return;
      }
      case "train":
      case "evaluate":
      case "load":
      case "predict":
        return void answer(message);
    }
  };

  port.addEventListener("message", (event: MessageEvent<ToWorker>) => hear(event.data));
  port.addEventListener("messageerror", () => post({ kind: "unreadable" }));
  // Where ports tell of it: the page is gone, or goes on with another of the ports that it knocked with.
  port.addEventListener("close", close);
  port.start();
}

/** @throws FederatedError CONFIG_INVALID when the Worker's file has no such part */
function part<Make>(name: string, make: Make | undefined): Make {
  if (make !== undefined) return make;
  throw new FederatedError(
    "CONFIG_INVALID",
    `the Worker has no ${name}; give one to serveWorker in the Worker's file`,
  );
}

const calledOff = () => new FederatedError("ABORTED", "the page called it off");
