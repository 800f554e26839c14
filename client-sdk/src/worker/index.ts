/** `@tributary/client-sdk/worker`: training and predicting in a dedicated Worker, the page only looks on. */

export { connectWorker, type WorkerConnection, type WorkerOptions } from "./connect-worker.ts";
export type { WorkerLike } from "./knock.ts";
export { serveWorker, type WorkerParts, type WorkerScope } from "./serve-worker.ts";
