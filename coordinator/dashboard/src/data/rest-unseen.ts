/** Lets the live events go while nobody sees the page: a browser has few connections for all tabs of one host. */

import type { Store } from "./store.ts";

/** A glance at another tab is shorter. */
export const REST_AFTER_MS = 10_000;

export interface RestDeps {
  readonly page: Pick<Document, "visibilityState" | "addEventListener">;
  readonly after: (ms: number, run: () => void) => () => void;
}

export function restUnseen({ page, after }: RestDeps, store: Pick<Store, "rest" | "retryNow">) {
  let callOff = () => {};
  let isResting = false;
  const look = () => {
    callOff();
    if (page.visibilityState === "hidden") {
      callOff = after(REST_AFTER_MS, () => {
        isResting = true;
        store.rest();
      });
    } else if (isResting) {
      isResting = false;
      store.retryNow();
    }
  };
  page.addEventListener("visibilitychange", look);
  look();
}
