/** Tells all listeners, whatever one of them throws: a fault of an app's own must not keep training going. */
export function tellAll(listeners: Iterable<() => void>): void {
  for (const listener of [...listeners]) {
    try {
      listener();
    } catch (error) {
      // As the browser does with its own events.
      if (typeof reportError === "function") reportError(error);
      else queueMicrotask(() => throwIt(error));
    }
  }
}

function throwIt(error: unknown): never {
  throw error;
}
