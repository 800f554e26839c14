/** What a page and its test say to each other: functions to call, and things told. */

import { isFederatedError } from "@tributary/protocol";

declare global {
  interface Window {
    tributaryTest?: Readonly<Record<string, (...args: never[]) => unknown>>;
    tributaryTell?: (type: string, detail: unknown) => Promise<void>;
  }
}

/** Lets the test call these; arguments and answers are copied, and errors keep their code in the message. */
export function expose<F extends Readonly<Record<string, (...args: never[]) => unknown>>>(
  functions: F,
): F {
  const wrapped = Object.entries(functions).map(([name, called]) => [
    name,
    async (...args: never[]) => {
      // Outside the debugger's own call, in which policies do not hold.
      await new Promise((resolve) => setTimeout(resolve, 0));
      try {
        return await called(...args);
      } catch (error) {
        throw isFederatedError(error) ? new Error(`${error.code}: ${error.message}`) : error;
      }
    },
  ]);
  window.tributaryTest = Object.fromEntries(wrapped) as typeof window.tributaryTest & object;
  return functions;
}

/** Tells the test; `detail` is copied as JSON. */
export function tell(type: string, detail: unknown = null): void {
  void window.tributaryTell?.(type, JSON.parse(JSON.stringify(detail)));
}
