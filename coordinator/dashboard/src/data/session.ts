/** Whose eyes the page looks with: a token that lives as long as the tab, and is in no address. */

import type { ReadonlySignal } from "@preact/signals";
import { signal } from "@preact/signals";

export interface Session {
  readonly token: ReadonlySignal<string | undefined>;
  signIn(token: string): void;
  signOut(): void;
}

const KEY = "tributary-token";

/** @param storage of the tab (`sessionStorage`); without it the token lives until the page is left */
export function createSession(storage: Storage | undefined): Session {
  const token = signal(storage?.getItem(KEY) ?? undefined);
  return {
    token,
    signIn: (next) => {
      token.value = next;
      try {
        storage?.setItem(KEY, next);
      } catch {
        // A full or forbidden storage: the page itself remembers it.
      }
    },
    signOut: () => {
      token.value = undefined;
      storage?.removeItem(KEY);
    },
  };
}
