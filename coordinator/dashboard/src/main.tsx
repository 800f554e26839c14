/** The dashboard: a page that looks at the coordinator through its public API and nothing else. */

import "./style.css";
import "./operator/operator.css";

import { computed, signal } from "@preact/signals";
import { render } from "preact";

import type { App } from "./app.ts";
import { AppContext } from "./app.ts";
import { createApi } from "./data/api.ts";
import { createHealthWatch } from "./data/health.ts";
import { createServerClock } from "./data/server-clock.ts";
import { createSession } from "./data/session.ts";
import { restUnseen } from "./data/rest-unseen.ts";
import { createStore } from "./data/store.ts";
import { followRoute } from "./route.ts";
import { Shell } from "./shell/shell.tsx";
import { createTheme } from "./theme.ts";

const TICK_MS = 250;
const HEALTH_MS = 5000;

/** A browser may forbid storage, and then says so by throwing. */
function storageOf(name: "localStorage" | "sessionStorage"): Storage | undefined {
  try {
    return window[name];
  } catch {
    return undefined;
  }
}

const after = (ms: number, run: () => void) => {
  const timer = setTimeout(run, ms);
  return () => clearTimeout(timer);
};

const session = createSession(storageOf("sessionStorage"));
const clock = createServerClock();
const api = createApi({
  fetch: window.fetch.bind(window),
  token: () => session.token.peek(),
  now: Date.now,
  clock,
});
const now = signal(Date.now());
const store = createStore({ api, now: Date.now, after, random: Math.random });
const health = createHealthWatch({ api, now: Date.now });
const app: App = {
  api,
  session,
  store,
  health,
  theme: createTheme(window, storageOf("localStorage")),
  route: followRoute(window),
  now,
  serverNow: computed(() => clock.toServer(now.value)),
};

const isSeen = () => document.visibilityState === "visible";
const tick = () => {
  if (isSeen()) now.value = Date.now();
};
const checkHealth = async () => {
  if (!isSeen()) return;
  const { alive } = health.health.peek();
  // The coordinator is back: its events need not wait for their turn.
  if ((await health.check()).alive === true && alive === false) store.retryNow();
};
setInterval(tick, TICK_MS);
setInterval(() => void checkHealth(), HEALTH_MS);
document.addEventListener("visibilitychange", () => {
  tick();
  void checkHealth();
});
window.addEventListener("online", store.retryNow);

store.restart();
restUnseen({ page: document, after }, store);
void checkHealth();

const root = document.getElementById("app");
if (root !== null) {
  render(
    <AppContext.Provider value={app}>
      <Shell />
    </AppContext.Provider>,
    root,
  );
}
