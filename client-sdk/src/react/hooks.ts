/** The hooks: stores that React subscribes to, each for as long as its component is mounted. */

import { useEffect, useMemo, useRef, useSyncExternalStore } from "react";

import type { Client, ClientOptions } from "../client.ts";
import type { JoinOptions } from "../participant.ts";
import type { Predictor } from "../trainer.ts";
import { createClientStore, NO_CLIENT } from "./client-store.ts";
import type { ModelView } from "./model-store.ts";
import { createModelStore, NO_MODEL } from "./model-store.ts";
import type { Store } from "./store.ts";
import type { TaskView } from "./task-store.ts";
import { createTaskStore, NOT_JOINED } from "./task-store.ts";

/**
 * A client that is this component's: made after it is mounted, closed when it goes. Another `url`, `token` or
 * `clientKey` makes another client, and so do no options; a `token` that is a function may be another one in
 * each rendering, the latest is asked. All other options count as they are when the client is made.
 * @returns undefined on a server, until the first effect has run, and without options
 * @throws FederatedError CONFIG_INVALID while rendering, as `createClient`
 */
export function useFederatedClient(options: ClientOptions | undefined): Client | undefined {
  const latest = useLatest(options);
  const { url, clientKey } = options ?? {};
  const token = typeof options?.token === "string" ? options.token : undefined;
  const store = useMemo(() => createClientStore(latest), [latest, url, token, clientKey]);
  const { client, error } = useStore(store, NO_CLIENT);
  if (error !== undefined) throw error;
  return client;
}

/**
 * Takes part in a task while the component is mounted and `client` is one; leaves when it goes, or gets another
 * client or task. The options may be other ones in each rendering: the latest trainer trains and the latest
 * `accept` is asked, while `signal` and `conditions` count as they are when the task is joined.
 */
export function useTask(
  client: Client | undefined,
  taskId: string,
  options: JoinOptions,
): TaskView {
  const latest = useLatest(options);
  const store = useMemo(() => createTaskStore(client, taskId, latest), [client, taskId, latest]);
  return useStore(store, NOT_JOINED);
}

/**
 * Serves a task's published model while the component is mounted and there are a `client` and a `predictor`.
 * Another predictor serves the model anew: keep it outside of the component, or in `useMemo`.
 */
export function useModel<Input, Output>(
  client: Client | undefined,
  taskId: string,
  predictor: Predictor<Input, Output> | undefined,
): ModelView<Input, Output> {
  const store = useMemo(
    () => createModelStore(client, taskId, predictor),
    [client, taskId, predictor],
  );
  return useStore(store, NO_MODEL);
}

function useStore<Snapshot>(
  { subscribe, getSnapshot }: Store<Snapshot>,
  onServer: Snapshot,
): Snapshot {
  return useSyncExternalStore(subscribe, getSnapshot, () => onServer);
}

/** A function, the same in each rendering, that gives the newest value that was rendered. */
function useLatest<T>(value: T): () => T {
  const ref = useRef(value);
  // Before the effects of the same component that subscribe: what they start sees this value.
  useEffect(() => {
    ref.current = value;
  });
  return useRef(() => ref.current).current;
}
