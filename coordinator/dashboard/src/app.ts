/** What every part of the page may use, made once in `main.tsx`. */

import type { ReadonlySignal } from "@preact/signals";
import { createContext } from "preact";
import { useContext } from "preact/hooks";

import type { Api } from "./data/api.ts";
import type { HealthWatch } from "./data/health.ts";
import type { Session } from "./data/session.ts";
import type { Store } from "./data/store.ts";
import type { Route } from "./route.ts";
import type { ThemeChoice } from "./theme.ts";

export interface App {
  readonly api: Api;
  readonly session: Session;
  readonly store: Store;
  readonly health: HealthWatch;
  readonly theme: ThemeChoice;
  readonly route: ReadonlySignal<Route>;
  /** Local time in milliseconds, four times a second while the page is seen. */
  readonly now: ReadonlySignal<number>;
  /** The coordinator's time, likewise: what its deadlines are measured by. */
  readonly serverNow: ReadonlySignal<number>;
}

export const AppContext = createContext<App | undefined>(undefined);

/** @throws Error outside of the page */
export function useApp(): App {
  const app = useContext(AppContext);
  if (app === undefined) throw new Error("no AppContext around this component");
  return app;
}
