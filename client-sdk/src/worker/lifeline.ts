/**
 * Tells at once that a Worker has ended, where nothing else does: no event comes from one that was terminated
 * or closed itself. It holds a lock as long as it lives, and who gets that lock knows.
 */

/** Absent in Node, and on pages that are no secure context: there silence has to tell. */
const locks = (): LockManager | undefined =>
  typeof navigator === "undefined" ? undefined : navigator.locks;

/** A name that nobody else has, or undefined where there are no locks. */
export function nameLifeline(): string | undefined {
  return locks() === undefined ? undefined : `tributary-worker-${crypto.randomUUID()}`;
}

/**
 * In the Worker: resolves when the lock is held, with what lets it go; with undefined where it cannot be.
 */
export function holdLifeline(name: string): Promise<(() => void) | undefined> {
  return new Promise((onHeld) => {
    const hold = () => new Promise<void>((letGo) => onHeld(letGo));
    // Where storage is blocked, so are locks.
    const request = locks()?.request(name, hold) ?? Promise.reject(new Error("no locks"));
    request.catch(() => onHeld(undefined));
  });
}

/**
 * On the page, once the Worker holds the lock: calls `onEnd` when it does no more.
 * @returns stops watching
 */
export function watchLifeline(name: string, onEnd: () => void): () => void {
  const watching = new AbortController();
  locks()
    ?.request(name, { signal: watching.signal }, () => {
      if (!watching.signal.aborted) onEnd();
    })
    .catch(() => undefined);
  return () => watching.abort();
}
