/** One thing at a time: asynchronous jobs run in the order in which they were posted. */

export interface Mailbox {
  /** Runs `job` after all earlier ones; answers with its result. */
  post<T>(job: () => Promise<T>): Promise<T>;
  /** Resolves when everything that was posted is done, also what came meanwhile. */
  idle(): Promise<void>;
}

export function createMailbox(): Mailbox {
  let tail: Promise<unknown> = Promise.resolve();
  return {
    post: (job) => {
      const result = tail.then(job);
      tail = result.catch(() => undefined);
      return result;
    },
    idle: async () => {
      let last: Promise<unknown>;
      do {
        last = tail;
        await last;
      } while (last !== tail);
    },
  };
}
