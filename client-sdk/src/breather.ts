/** Gives the event loop its turn during long work, so that sockets stay alive and timers fire. */

/** 20 ms: well under a heartbeat, and long enough that the turns cost nothing. */
export const BREATH_EVERY_MS = 20;

/**
 * Returns a function to call often: most calls resolve at once, and one gives way to the event loop
 * when `everyMs` have passed since the last that did.
 */
export function createBreather(everyMs: number = BREATH_EVERY_MS): () => Promise<void> {
  let last = performance.now();
  return async () => {
    if (performance.now() - last < everyMs) return;
    await nextTask();
    last = performance.now();
  };
}

/** A task of its own, and not setTimeout: browsers stretch nested timers to 4 ms and hidden ones to 1 s. */
function nextTask(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}
