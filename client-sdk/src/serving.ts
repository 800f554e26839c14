/** A task's published model, served: the newest version, verified, swapped while predictions run. */

import type {
  CheckpointRef,
  Digest,
  Layout,
  ModelManifest,
  ServingEncoding,
  TaskId,
} from "@tributary/protocol";
import { FederatedError, routes, toFederatedError } from "@tributary/protocol";

import { createDeferred } from "./deferred.ts";
import { abortedError, delay, throwIfAborted } from "./delay.ts";
import type { Subscribable } from "./emitter.ts";
import { createEmitter } from "./emitter.ts";
import type { FetchedModel, ModelDownload, ModelFetchDeps } from "./model-fetch.ts";
import { checkLayout, decodeVersion, fetchModel } from "./model-fetch.ts";
import type { Session } from "./session.ts";
import type { LoadedModel, Predictor } from "./trainer.ts";

export interface ServedVersion {
  readonly modelVersion: number;
  readonly digest: Digest;
}

export interface ServedModelEvents {
  /** Predictions that begin now are made by this version, for which so much had to come. */
  update: ServedVersion & { readonly download: ModelDownload };
  /** A version could not be served, or not be learnt of; the one before goes on. */
  error: FederatedError;
}

/** Holds the newest version of a task's model that could be verified and loaded; never an older one again. */
export interface ServedModel<Input, Output>
  extends Subscribable<ServedModelEvents>, AsyncDisposable {
  readonly taskId: TaskId;
  /**
   * Resolves once the newest version serves, or the cached one when the coordinator cannot be reached.
   * Rejected when there can be none, or `close()` came first. The cached one serves before that already.
   */
  readonly ready: Promise<void>;
  /** Version that predictions begin with now; undefined while there is none. */
  readonly version: number | undefined;
  /** SHA-256 of its checkpoint frame. */
  readonly digest: Digest | undefined;
  /** What the coordinator signed about it: where it comes from, how good and how private it is. */
  readonly manifest: ModelManifest | undefined;
  /** @throws FederatedError UNAVAILABLE while no version serves, ABORTED after `close()`; or what the predictor threw */
  predict(input: Input): Promise<Output>;
  /** Asks for the newest version and resolves when it serves. @throws FederatedError */
  refresh(): Promise<void>;
  /** Stops, and frees the model once predictions that run have ended. Idempotent. */
  close(): Promise<void>;
}

export interface ServeOptions<Input, Output> {
  readonly predictor: Predictor<Input, Output>;
  /**
   * Serves copies in fewer bits, where the task has such (`serving.encodings`): a half ("bfloat16") or a quarter
   * ("int8") of the bytes. Exact ones otherwise, and where one is in the cache.
   */
  readonly encoding?: ServingEncoding;
}

export interface ServedModelDeps extends Omit<ModelFetchDeps, "onCacheError"> {
  readonly session: Session;
}

interface Serving<Input, Output> extends ServedVersion {
  readonly model: LoadedModel<Input, Output>;
  readonly manifest: ModelManifest;
  predictions: number;
  retired: boolean;
}

/** Later tries come with the next publication, reconnection or `refresh()`. */
const FETCH_ATTEMPTS = 5;
/** A coordinator that has not answered by then counts as out of reach: the cached version is ready. */
const PATIENCE_MS = 5_000;

/** Most apps serve the exact ones. */
const copies = () => import("./copied-model.ts");

export function serveModel<Input, Output>(
  deps: ServedModelDeps,
  taskId: TaskId,
  { predictor, encoding }: ServeOptions<Input, Output>,
  onClosed: () => void,
): ServedModel<Input, Output> {
  const { session, cache, trust } = deps;
  const events = createEmitter<ServedModelEvents>((error, name) => {
    if (name !== "error") tellError(error);
  });
  const tellError = (error: unknown) => events.emit("error", toFederatedError(error));
  const fetchDeps: ModelFetchDeps = { ...deps, onCacheError: tellError };
  const ready = createDeferred<undefined>();
  const closing = new AbortController();
  const idle = createDeferred<undefined>();
  let current: Serving<Input, Output> | undefined;
  /** Loaded models that are not freed yet: the current one, and those whose last predictions run. */
  const alive = new Set<Serving<Input, Output>>();
  let layout: Layout | undefined;
  /** The coordinator has been asked, or is out of reach. */
  let consulted = false;
  /** Loads run one after the other, each only if it is still newer than what serves. */
  let loads: Promise<unknown> = Promise.resolve();

  const release = (serving: Serving<Input, Output>) => {
    if (!serving.retired || serving.predictions > 0) return;
    if (alive.delete(serving)) serving.model.dispose();
    if (closing.signal.aborted && alive.size === 0) idle.resolve(undefined);
  };

  const retire = (serving: Serving<Input, Output> | undefined) => {
    if (serving === undefined) return;
    serving.retired = true;
    release(serving);
  };

  const settle = () => {
    if (consulted && current !== undefined) ready.resolve(undefined);
  };
  const consult = () => {
    consulted = true;
    settle();
  };

  const isNewer = ({ modelVersion }: { modelVersion: number }) =>
    current === undefined || modelVersion > current.modelVersion;

  /** Loads what `fetch` gives, of the layout, and lets it serve. */
  function swapTo(
    version: ServedVersion,
    own: Layout,
    fetch: () => Promise<FetchedModel>,
  ): Promise<void> {
    const load = async () => {
      throwIfAborted(closing.signal);
      if (!isNewer(version)) return;
      const { weights, manifest, download } = await fetch();
      const model = await predictor.load(weights, own);
      if (closing.signal.aborted) {
        model.dispose();
        throw abortedError();
      }
      const before = current;
      const { modelVersion, digest } = version;
      current = { modelVersion, digest, model, manifest, predictions: 0, retired: false };
      alive.add(current);
      retire(before);
      settle();
      events.emit("update", { modelVersion, digest, download });
    };
    const loaded = loads.then(load);
    loads = loaded.catch(() => undefined);
    return loaded;
  }

  const serveCached = async () => {
    const cached = (await cache.get(taskId, encoding)) ?? (encoding && (await cache.get(taskId)));
    if (cached === undefined) return;
    const own = await checkLayout(cached.layout);
    const { copyOf, frame } = cached;
    // Digest and size as they are in the manifest: of the exact one.
    const checkpoint = { ...cached.checkpoint, ...copyOf };
    await swapTo(checkpoint, own, async () => {
      const inUse = { taskId, layoutDigest: own.digest, checkpoint };
      const manifest = await trust.verifyCached(inUse);
      const weights =
        copyOf === undefined
          ? decodeVersion(own, checkpoint.modelVersion, frame)
          : await (await copies()).copiedWeights(cached, manifest);
      return { manifest, weights, download: { how: "cache", bytes: 0 } };
    });
    layout ??= own;
  };

  const servePublished = async (checkpoint: CheckpointRef) => {
    // Without the layout, a watch is on its way, and its answer names this version or a newer one.
    const own = layout;
    if (own === undefined) return;
    await swapTo(checkpoint, own, async () => {
      const model = { taskId, layout: own, checkpoint };
      const options = { signal: closing.signal, attempts: FETCH_ATTEMPTS };
      if (encoding === undefined) return fetchModel(fetchDeps, model, options);
      const { fetchCopied } = await copies();
      const pathOf = routes.checkpointByDigest.path;
      return fetchCopied({ ...fetchDeps, fetchModel, pathOf }, model, options, encoding);
    });
  };

  const refresh = async () => {
    throwIfAborted(closing.signal);
    const brief = await session.watch(taskId);
    const described = await checkLayout(brief.layout);
    if (layout !== undefined && layout.digest !== described.digest) {
      throw new FederatedError(
        "UPDATE_LAYOUT_MISMATCH",
        `task "${taskId}" now has layout ${described.digest}, the model served has ` +
          `${layout.digest}; clear the cache to serve the new one`,
      );
    }
    layout = described;
    await servePublished(brief.checkpoint);
  };

  const tell = (error: unknown): FederatedError | undefined => {
    if (closing.signal.aborted) return undefined;
    const fault = toFederatedError(error);
    events.emit("error", fault);
    return fault;
  };

  /** A fault is told; where nothing serves yet and no later try can help, `ready` fails with it. */
  const attempt = async (load: () => Promise<void>) => {
    try {
      await load();
    } catch (error) {
      const fault = tell(error);
      if (fault === undefined || fault.retryable) return;
      if (current === undefined && session.connected) ready.reject(fault);
    }
  };

  // Whatever is wrong with the cached version, the coordinator's own may be good.
  const fromCache = serveCached().catch((error: unknown) => void tell(error));
  const watch = () => void fromCache.then(() => attempt(refresh)).then(consult);
  delay(PATIENCE_MS, closing.signal).then(consult, () => undefined);
  const subscriptions = [
    session.on("unreachable", () => void fromCache.then(consult)),
    session.on("connected", watch),
    session.on("published", (message) => {
      if (message.taskId === taskId) void attempt(() => servePublished(message.checkpoint));
    }),
    session.on("refused", (error) => {
      events.emit("error", error);
      void fromCache.then(() => {
        consult();
        if (current === undefined && !error.retryable) ready.reject(error);
      });
    }),
  ];
  if (session.connected) watch();
  else session.open();

  const stop = async () => {
    closing.abort();
    for (const unsubscribe of subscriptions) unsubscribe();
    ready.reject(abortedError());
    await fromCache;
    await loads;
    retire(current);
    if (alive.size === 0) idle.resolve(undefined);
    await idle.promise;
    events.clear();
    onClosed();
  };
  let stopped: Promise<void> | undefined;
  const close = () => (stopped ??= stop());

  return {
    taskId,
    ready: ready.promise,
    get version() {
      return current?.modelVersion;
    },
    get digest() {
      return current?.digest;
    },
    get manifest() {
      return current?.manifest;
    },
    on: events.on,
    predict: async (input) => {
      throwIfAborted(closing.signal);
      const serving = current;
      if (serving === undefined) {
        throw new FederatedError(
          "UNAVAILABLE",
          `no version of "${taskId}" is loaded yet; await ready`,
        );
      }
      serving.predictions += 1;
      try {
        return await serving.model.predict(input);
      } finally {
        serving.predictions -= 1;
        release(serving);
      }
    },
    refresh,
    close,
    [Symbol.asyncDispose]: close,
  };
}
