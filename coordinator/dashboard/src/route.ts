/** Where the page is, in the fragment of its address: the server serves one file, and sees none of it. */

import type { TaskId } from "@tributary/protocol";
import { isTaskId } from "@tributary/protocol";
import type { ReadonlySignal } from "@preact/signals";
import { signal } from "@preact/signals";

export type Route =
  | { readonly page: "overview" }
  /** `tab` is one of `taskTabs`; the first where the address names none. */
  | { readonly page: "task"; readonly taskId: TaskId; readonly tab: string | undefined }
  | { readonly page: "new-task" }
  | { readonly page: "events" }
  | { readonly page: "health" }
  | { readonly page: "sign-in" }
  | { readonly page: "nowhere"; readonly address: string };

/** Reads `#/tasks/digits/rounds`. */
export function parseRoute(hash: string): Route {
  const parts = hash
    .replace(/^#?\/?/, "")
    .split("/")
    .filter((part) => part !== "");
  const [first, second, third, ...more] = parts;
  if (first === undefined) return { page: "overview" };
  if (first === "tasks" && more.length === 0) {
    if (second === undefined) return { page: "overview" };
    if (isTaskId(second)) return { page: "task", taskId: second, tab: third };
  }
  if (second === undefined && isPlain(first)) return { page: first };
  return { page: "nowhere", address: `#/${parts.join("/")}`.slice(0, 80) };
}

type PlainPage = "new-task" | "events" | "health" | "sign-in";
const isPlain = (name: string): name is PlainPage =>
  name === "new-task" || name === "events" || name === "health" || name === "sign-in";

/** Addresses for links. */
export const hrefs = {
  overview: "#/",
  newTask: "#/new-task",
  events: "#/events",
  health: "#/health",
  signIn: "#/sign-in",
  task: (taskId: TaskId, tab?: string) => `#/tasks/${taskId}${tab === undefined ? "" : `/${tab}`}`,
} as const;

/** The route of the window, followed for as long as the page lives. */
export function followRoute(target: Window): ReadonlySignal<Route> {
  const route = signal(parseRoute(target.location.hash));
  target.addEventListener("hashchange", () => {
    route.value = parseRoute(target.location.hash);
  });
  return route;
}
