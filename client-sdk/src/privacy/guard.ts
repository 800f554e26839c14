/** What may leave this client: whether a plan is one to follow, and the update as it is sent. */

import type { Assignment, TaskId, Update } from "@tributary/protocol";
import { FederatedError } from "@tributary/protocol";

import { part } from "../part.ts";
import type { EpsilonLimit } from "./account.ts";
import type { createLedgerGuard } from "./ledger-guard.ts";
import type { PrivacyLedgerStore } from "./ledger-store.ts";
import type { ClientPrivacy } from "./statement.ts";

export interface PrivacyOptions {
  /**
   * Where this client keeps what it has spent: `createFileLedger` in Node. One for each owner of data. Tasks with
   * local noise need it; how often a client takes part, where a task bounds that, is else only remembered in memory.
   */
  readonly ledger?: PrivacyLedgerStore;
  /**
   * Epsilon that all updates of this client's data together must not pass, whatever tasks and coordinators say.
   * With it only tasks with local noise are trained for: no other update has an epsilon that a client can know.
   */
  readonly maxEpsilon?: number;
  /** Of `maxEpsilon`. Default 1e-6: below one in the number of clients, up to a million of them. */
  readonly delta?: number;
}

export interface PrivacyGuard {
  /**
   * Is this an assignment to work for, as far as one can tell before? False where a later one may be.
   * @throws FederatedError PRIVACY_BUDGET_EXHAUSTED, CONFIG_INVALID, UNAVAILABLE
   */
  admits(assignment: Assignment): Promise<boolean>;
  /**
   * Is its plan one that this client follows, whatever it has spent? Enough for an update that was made and
   * recorded before. @throws FederatedError CONFIG_INVALID
   */
  follows(assignment: Assignment): Promise<boolean>;
  /**
   * Records what the update costs, then makes it: with local noise it has nothing of the client's data in it
   * but the noisy delta. Without, it is what it was. Whoever sends the result again spends nothing anew.
   * @param update its delta is not clipped yet under local noise
   * @throws FederatedError as `admits`, UPDATE_NOT_FINITE, ABORTED: nothing may be sent then
   */
  protect(assignment: Assignment, update: Update, signal: AbortSignal): Promise<Update>;
  /** What this client has spent for a task and in all. @throws FederatedError CONFIG_INVALID, UNAVAILABLE */
  about(taskId: TaskId): Promise<ClientPrivacy>;
}

interface LedgerGuardModule {
  readonly createLedgerGuard: typeof createLedgerGuard;
}

/**
 * Most tasks ask for nothing that must be accounted for. The part that keeps account is loaded when a plan, the app
 * or its ledger first needs it; from then on it is asked of every update. Where it cannot be loaded nothing is sent.
 * @param load for tests
 * @throws FederatedError CONFIG_INVALID for a limit that is none
 */
export function createPrivacyGuard(
  origin: string,
  options: PrivacyOptions = {},
  load: () => Promise<LedgerGuardModule> = () => import("./ledger-guard.ts"),
): PrivacyGuard {
  const own = ownLimit(options);
  const always = own !== undefined || options.ledger !== undefined;
  const keeping = part("keeps account of privacy, without which nothing is sent,", async () =>
    (await load()).createLedgerGuard(origin, options, own),
  );
  const accountant = () => keeping.get();

  // With all the rest of the page: later the network may be gone, or the file, when another version was deployed.
  if (always) accountant().catch(() => undefined);

  /** Once something was recorded every plan is held against it, also one that asks for nothing. */
  const isFree = ({ plan }: Assignment) =>
    !always &&
    keeping.made() === undefined &&
    plan.localNoise === undefined &&
    plan.participation === undefined;

  return {
    admits: async (assignment) => isFree(assignment) || (await accountant()).admits(assignment),
    follows: async (assignment) => isFree(assignment) || (await accountant()).follows(assignment),
    protect: async (assignment, update, signal) =>
      isFree(assignment) ? update : (await accountant()).protect(assignment, update, signal),
    about: async (taskId) => (await accountant()).about(taskId),
  };
}

const refuse = (message: string) => new FederatedError("CONFIG_INVALID", message);

function ownLimit({ maxEpsilon, delta = 1e-6 }: PrivacyOptions): EpsilonLimit | undefined {
  if (!(delta > 0 && delta < 1))
    throw refuse(`privacy.delta must be between 0 and 1, got ${delta}`);
  if (maxEpsilon === undefined) return undefined;
  if (maxEpsilon > 0 && maxEpsilon < Infinity) return { maxEpsilon, delta };
  throw refuse(`privacy.maxEpsilon must be above 0 and finite, got ${maxEpsilon}`);
}
