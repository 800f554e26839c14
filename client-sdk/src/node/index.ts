/** What only Node has: files for cache, key and privacy ledger, the choice of a TF.js backend, models over HTTP. */

export { chooseBackend } from "./backend.ts";
export type { ChooseBackendOptions, ChosenBackend, NodeBackend } from "./backend.ts";
export { loadClientKey } from "./client-key-file.ts";
export { createFileCache } from "./file-cache.ts";
export type { FileCacheOptions } from "./file-cache.ts";
export { createFileFeedback } from "./file-feedback.ts";
export type { FileFeedbackOptions } from "./file-feedback.ts";
export { createFileLedger } from "./file-ledger.ts";
export type { FileLedgerOptions } from "./file-ledger.ts";
export { servable, servingPlugin } from "./serving-plugin.ts";
export type { Servable, ServableOptions, ServingPluginOptions } from "./serving-plugin.ts";
export type { Batch } from "./tensor-json.ts";
