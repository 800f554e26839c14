/** `@tributary/client-sdk/one-shot`: takes part without a socket, for functions, background tasks and service workers. */

export { participateOnce } from "./participate-once.ts";
export type { OneShotOptions, OneShotResult } from "./participate-once.ts";
