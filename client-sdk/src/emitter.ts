/** Typed events: a listener that throws reaches neither the emitter nor the other listeners. */

export type Listener<Value> = (value: Value) => void;

export interface Subscribable<Events> {
  /** @returns removes the listener again; calling it twice changes nothing */
  on<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>): () => void;
}

export interface Emitter<Events> extends Subscribable<Events> {
  emit<Name extends keyof Events>(name: Name, value: Events[Name]): void;
  /** Listeners there are now, of one event or of all. */
  listenerCount(name?: keyof Events): number;
  /** Removes every listener. */
  clear(): void;
}

/**
 * @param onListenerError gets what a listener threw, or what its promise was rejected with; a throw
 * of its own is dropped
 */
export function createEmitter<Events>(
  onListenerError: (error: unknown, name: keyof Events) => void,
): Emitter<Events> {
  // Each registration is an entry of its own, so one function may listen twice.
  interface Entry {
    readonly call: (value: never) => unknown;
  }
  const listeners = new Map<keyof Events, Set<Entry>>();

  function report(error: unknown, name: keyof Events): void {
    try {
      onListenerError(error, name);
    } catch {
      // Whoever is told of faults must not make new ones.
    }
  }

  return {
    on: (name, listener) => {
      const entry: Entry = { call: listener };
      const own = listeners.get(name) ?? new Set<Entry>();
      listeners.set(name, own.add(entry));
      return () => void own.delete(entry);
    },
    emit: (name, value) => {
      for (const { call } of [...(listeners.get(name) ?? [])]) {
        try {
          const result = call(value as never);
          if (result instanceof Promise) result.catch((error: unknown) => report(error, name));
        } catch (error) {
          report(error, name);
        }
      }
    },
    listenerCount: (name) => {
      const sets = name === undefined ? [...listeners.values()] : [listeners.get(name)];
      return sets.reduce((count, set) => count + (set?.size ?? 0), 0);
    },
    clear: () => {
      for (const own of listeners.values()) own.clear();
    },
  };
}
