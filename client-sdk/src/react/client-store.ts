/** One client, made when a component is there to use it and closed when none is. */

import type { FederatedError } from "@tributary/protocol";
import { toFederatedError } from "@tributary/protocol";

import type { Client, ClientOptions } from "../client.ts";
import { createClient } from "../client.ts";
import type { TokenSource } from "../credentials.ts";
import type { Store } from "./store.ts";
import { createStore } from "./store.ts";

export interface ClientSnapshot {
  readonly client?: Client;
  /** Why there can be none: the options. */
  readonly error?: FederatedError;
}

export const NO_CLIENT: ClientSnapshot = {};

/** @param latest the options as they are now; undefined: no client */
export function createClientStore(latest: () => ClientOptions | undefined): Store<ClientSnapshot> {
  return createStore(NO_CLIENT, ({ show }) => {
    const options = latest();
    if (options === undefined) return () => {};
    let client: Client;
    try {
      client = createClient({ ...options, ...followingToken(options.token, latest) });
    } catch (error) {
      show({ error: toFederatedError(error) });
      return () => {};
    }
    show({ client });
    return () => void client.close();
  });
}

/** A function that is asked for tokens is often written in the component, and so another one each time. */
function followingToken(
  token: TokenSource | undefined,
  latest: () => ClientOptions | undefined,
): { readonly token?: TokenSource } {
  if (typeof token !== "function") return {};
  return {
    token: async () => {
      const newest = latest()?.token ?? token;
      return typeof newest === "function" ? newest() : newest;
    },
  };
}
