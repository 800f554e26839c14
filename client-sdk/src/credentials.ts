/** What lets this client in: its key, and a token that the app is asked for anew whenever one is needed. */

import type { HandshakeAuth } from "@tributary/protocol";
import { FederatedError, isEnrolmentToken, isFederatedError } from "@tributary/protocol";

import { withTimeout } from "./delay.ts";

/** A function is asked for every connection, and again when its token was refused. */
export type TokenSource = string | (() => string | Promise<string>);

export interface Credentials {
  /** Asking again may give another token. */
  readonly renewable: boolean;
  /** For a new connection. @throws FederatedError UNAVAILABLE while the app gives no token */
  forHandshake(): Promise<HandshakeAuth>;
  /** For a request: what the newest connection came with. @throws FederatedError UNAVAILABLE */
  bearer(): Promise<string>;
  /** Another bearer in place of one that was refused; undefined where there is none. */
  renew(refused: string): Promise<string | undefined>;
}

/**
 * Below the 10 s for which a coordinator waits to hear who has connected. An app that takes longer is not
 * asked a second time meanwhile: its answer is for the next try.
 */
const PATIENCE_MS = 8_000;

/** @throws FederatedError CONFIG_INVALID for a token that no header can carry */
export function createCredentials(source: TokenSource | undefined, clientKey: string): Credentials {
  if (typeof source === "string") checkToken(source);
  let asking: Promise<string> | undefined;
  let newest: string | undefined;

  async function askApp(ask: () => string | Promise<string>): Promise<string> {
    asking ??= (async () => ask())().finally(() => {
      asking = undefined;
    });
    const asked = asking;
    let token: unknown;
    try {
      token = await withTimeout(new AbortController().signal, PATIENCE_MS, () => asked);
    } catch (error) {
      if (isFederatedError(error)) throw error;
      throw new FederatedError("UNAVAILABLE", "the app's token function failed", { cause: error });
    }
    if (typeof token !== "string" || token === "") {
      throw new FederatedError("CONFIG_INVALID", "the app's token function gave no token");
    }
    return checkToken(token);
  }

  const fresh = async (): Promise<string | undefined> => {
    newest = typeof source === "function" ? await askApp(source) : source;
    return newest;
  };

  /** An enrolment token only makes the key good, and does so once; the key is what reads. */
  const bearerOf = (token: string | undefined): string =>
    token === undefined || isEnrolmentToken(token) ? clientKey : token;

  return {
    renewable: typeof source === "function",
    forHandshake: async () => {
      const token = await fresh();
      return { clientKey, ...(token === undefined ? {} : { token }) };
    },
    bearer: async () => bearerOf(newest ?? (await fresh())),
    renew: async (refused) => {
      // Another request, or a new connection, may have asked already.
      if (newest !== undefined && bearerOf(newest) !== refused) return bearerOf(newest);
      const renewed = bearerOf(await fresh());
      return renewed === refused ? undefined : renewed;
    },
  };
}

/** Refused here and unseen: what `fetch` says of a header that cannot be repeats it. */
function checkToken(token: string): string {
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw new FederatedError(
    "CONFIG_INVALID",
    "the token has characters that no header can carry, a line break or a space for one; pass it as it was issued",
  );
}
