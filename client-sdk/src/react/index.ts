/** `@tributary/client-sdk/react`: hooks for React 18 and later. They render on a server, and in StrictMode. */

export { useFederatedClient, useModel, useTask } from "./hooks.ts";
export type { ModelSnapshot, ModelView } from "./model-store.ts";
export type { TaskActions, TaskSnapshot, TaskView } from "./task-store.ts";
