/** What may leave this client: whether a plan is one to follow, and the update as it is sent. */

import type { Assignment, LocalNoise, TaskId, TrainingPlan, Update } from "@tributary/protocol";
import { FederatedError } from "@tributary/protocol";

import type { Draw, EpsilonLimit, Refused, TaskKey } from "./account.ts";
import { createClientLedger } from "./ledger.ts";
import type { PrivacyLedgerStore } from "./ledger-store.ts";
import { createMemoryLedger } from "./ledger-store.ts";
import { addLocalNoise } from "./local-noise.ts";
import type { ClientPrivacy } from "./statement.ts";
import { clientPrivacy } from "./statement.ts";

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

/** @throws FederatedError CONFIG_INVALID for a limit that is none */
export function createPrivacyGuard(origin: string, options: PrivacyOptions = {}): PrivacyGuard {
  const own = ownLimit(options);
  const ledger = createClientLedger(options.ledger ?? createMemoryLedger(), own);
  const keyOf = ({ taskId }: Assignment): TaskKey => ({ origin, taskId });

  /** @throws FederatedError CONFIG_INVALID for a plan that this client does not follow */
  function drawOf({ plan, taskId, checkpoint }: Assignment): Draw {
    const { localNoise } = plan;
    // The version that comes of this one, under a signature: a round that is abandoned and opened again is the
    // same step, and no coordinator can count steps that it has not published.
    const step = checkpoint.modelVersion + 1;
    const participation = plan.participation && { ...plan.participation, step };
    const bounded = participation === undefined ? {} : { participation };
    if (localNoise === undefined) {
      if (own === undefined) return bounded;
      throw refuse(
        `task "${taskId}" asks for updates without noise, and this client's own maxEpsilon of ` +
          `${own.maxEpsilon} allows none; leave privacy.maxEpsilon out to train for it all the same`,
      );
    }
    if (plan.clippingNorm === undefined) {
      throw refuse(`task "${taskId}" asks for local noise without a clippingNorm to measure it by`);
    }
    if (options.ledger === undefined) {
      throw refuse(
        `task "${taskId}" asks for local noise, which needs a ledger that lasts: pass privacy.ledger, ` +
          "createFileLedger() in Node or createMemoryLedger() for a client that starts only once",
      );
    }
    return { ...bounded, localNoise };
  }

  return {
    admits: async (assignment) => {
      const wanted = drawOf(assignment);
      const refused = await ledger.ask(keyOf(assignment), wanted);
      if (refused === undefined) return true;
      if (refused.refused === "tooEarly") return false;
      throw refusedDraw(assignment, refused);
    },
    follows: async (assignment) => {
      drawOf(assignment);
      return true;
    },
    protect: async (assignment, update, signal) => {
      const wanted = drawOf(assignment);
      // What costs nothing is not recorded; what the task's former plans promised still holds.
      const record = isNothing(wanted) ? ledger.ask : ledger.reserve;
      const refused = await record(keyOf(assignment), wanted);
      if (refused !== undefined) throw refusedDraw(assignment, refused);
      const { localNoise } = wanted;
      if (localNoise === undefined) return update;
      const settings = settingsOf(assignment.plan, localNoise);
      // The number of examples and every metric are data, too, and nothing pays for them.
      return {
        delta: await addLocalNoise(update.delta, settings, signal),
        numExamples: 1,
        metrics: {},
      };
    },
    about: async (taskId) => clientPrivacy(await ledger.accounts(), { origin, taskId }, own),
  };
}

const isNothing = ({ localNoise, participation }: Draw) =>
  localNoise === undefined && participation === undefined;

const settingsOf = ({ clippingNorm }: TrainingPlan, { noiseMultiplier }: LocalNoise) => ({
  // `drawOf` has refused a plan without.
  clippingNorm: clippingNorm ?? Number.NaN,
  noiseMultiplier,
});

const refuse = (message: string) => new FederatedError("CONFIG_INVALID", message);

function refusedDraw(
  { taskId, roundId }: Assignment,
  { message, refused }: Refused,
): FederatedError {
  if (refused === "tooEarly") return new FederatedError("UNAVAILABLE", message);
  if (refused === "noiseLeftOut" || refused === "boundLeftOut") return refuse(message);
  return new FederatedError(
    "PRIVACY_BUDGET_EXHAUSTED",
    `privacy budget spent: no update for round ${roundId} of "${taskId}"; ${message}`,
    { details: { refused } },
  );
}

function ownLimit({ maxEpsilon, delta = 1e-6 }: PrivacyOptions): EpsilonLimit | undefined {
  if (!(delta > 0 && delta < 1))
    throw refuse(`privacy.delta must be between 0 and 1, got ${delta}`);
  if (maxEpsilon === undefined) return undefined;
  if (maxEpsilon > 0 && maxEpsilon < Infinity) return { maxEpsilon, delta };
  throw refuse(`privacy.maxEpsilon must be above 0 and finite, got ${maxEpsilon}`);
}
