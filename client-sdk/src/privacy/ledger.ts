/** The client's own ledger: what an update will cost is on record before the update is made. */

import { FederatedError, isFederatedError } from "@tributary/protocol";

import type { Draw, EpsilonLimit, Refused, TaskAccount, TaskKey } from "./account.ts";
import { draw, isRefused } from "./account.ts";
import type { PrivacyLedgerStore } from "./ledger-store.ts";
import { decodeLedger, encodeLedger } from "./ledger-text.ts";

export interface ClientLedger {
  /** Everything on record. @throws FederatedError CONFIG_INVALID (lost or damaged), UNAVAILABLE */
  accounts(): Promise<readonly TaskAccount[]>;
  /** What {@link reserve} would answer now; nothing is recorded. @throws as `accounts` */
  ask(key: TaskKey, wanted: Draw): Promise<Refused | undefined>;
  /**
   * Records the draw, durably, or says why it must not be made. When this throws nothing may be sent, whether
   * or not the draw was recorded. @throws as `accounts`
   */
  reserve(key: TaskKey, wanted: Draw): Promise<Refused | undefined>;
}

/** Each lost race means that another process recorded something meanwhile. */
const MOST_TRIES = 100;

/** @param own the client's own limit over all its tasks */
export function createClientLedger(
  store: PrivacyLedgerStore,
  own: EpsilonLimit | undefined,
): ClientLedger {
  async function read(): Promise<{ revision: number; accounts: readonly TaskAccount[] }> {
    const stored = await attempt("read", () => store.read());
    if (stored === undefined) return { revision: 0, accounts: [] };
    const accounts = await decodeLedger(stored.text);
    if (accounts !== undefined) return { revision: stored.revision, accounts };
    throw new FederatedError(
      "CONFIG_INVALID",
      "this client's privacy ledger is damaged, and without it nothing is sent: what was spent is not known " +
        "any more. Restore it from a copy made after its last update (an older one would spend again what was " +
        "spent since); a new ledger in another place begins a new account, which says nothing about what was " +
        "sent before",
    );
  }

  return {
    accounts: async () => (await read()).accounts,
    ask: async (key, wanted) => {
      const outcome = draw((await read()).accounts, key, wanted, own);
      return isRefused(outcome) ? outcome : undefined;
    },
    reserve: async (key, wanted) => {
      for (let tries = 0; tries < MOST_TRIES; tries++) {
        const { revision, accounts } = await read();
        const outcome = draw(accounts, key, wanted, own);
        if (isRefused(outcome)) return outcome;
        const text = await encodeLedger(outcome);
        if (await attempt("written", () => store.write(text, revision))) return undefined;
      }
      throw new FederatedError(
        "UNAVAILABLE",
        `this client's privacy ledger was changed by others ${MOST_TRIES} times while one update was recorded`,
      );
    },
  };
}

async function attempt<T>(what: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (isFederatedError(error)) throw error;
    throw new FederatedError(
      "UNAVAILABLE",
      `this client's privacy ledger cannot be ${what}, and without it nothing is sent`,
      { cause: error },
    );
  }
}
