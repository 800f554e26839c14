/** The guard that keeps account: it asks the client's own ledger, and adds the noise that a plan asks for. */

import type { Assignment, LocalNoise, TrainingPlan } from "@tributary/protocol";
import { FederatedError } from "@tributary/protocol";

import type { Draw, EpsilonLimit, Refused, TaskKey } from "./account.ts";
import type { PrivacyGuard, PrivacyOptions } from "./guard.ts";
import { createClientLedger } from "./ledger.ts";
import { createMemoryLedger } from "./ledger-store.ts";
import { addLocalNoise } from "./local-noise.ts";
import { clientPrivacy } from "./statement.ts";

export function createLedgerGuard(
  origin: string,
  options: PrivacyOptions,
  own: EpsilonLimit | undefined,
): PrivacyGuard {
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
