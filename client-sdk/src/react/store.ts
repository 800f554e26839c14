/** What a hook shows: something that begins when it is looked at and ends when nobody looks any more. */

/** As `useSyncExternalStore` takes it; `this` is not used. */
export interface Store<Snapshot> {
  /** The first listener begins it, the last one that goes ends it. @returns removes the listener */
  subscribe(listener: () => void): () => void;
  /** The same object until something has changed. */
  getSnapshot(): Snapshot;
}

/** What a running store may do: look at what it shows, and show something else. */
export interface StoreHandle<Snapshot> {
  readonly shown: Snapshot;
  show(snapshot: Snapshot): void;
}

/**
 * @param start called when the first listener comes; what it returns is called when the last one goes. A
 * component that is unmounted and mounted again (StrictMode does it to each) starts it anew, and what an
 * earlier start still has to say is not heard.
 */
export function createStore<Snapshot>(
  initial: Snapshot,
  start: (handle: StoreHandle<Snapshot>) => () => void,
): Store<Snapshot> {
  const listeners = new Set<() => void>();
  let shown = initial;
  let stop: (() => void) | undefined;
  let starts = 0;

  const show = (snapshot: Snapshot) => {
    if (snapshot === shown) return;
    shown = snapshot;
    for (const listener of [...listeners]) listener();
  };

  const begin = () => {
    const own = ++starts;
    stop = start({
      get shown() {
        return shown;
      },
      show: (snapshot) => {
        if (own === starts) show(snapshot);
      },
    });
  };

  const end = () => {
    starts += 1;
    stop?.();
    stop = undefined;
    shown = initial;
  };

  return {
    getSnapshot: () => shown,
    subscribe: (listener) => {
      // An entry of its own, so that one function may listen twice.
      const entry = () => listener();
      listeners.add(entry);
      if (listeners.size === 1) begin();
      return () => {
        if (listeners.delete(entry) && listeners.size === 0) end();
      };
    },
  };
}
