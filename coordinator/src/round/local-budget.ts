/** What a task with local noise promises: to each client, by its own account. The coordinator charges nothing. */

import type { LocalPrivacy, ManifestPrivacy } from "@tributary/protocol";
import { roundedUp } from "@tributary/protocol";

import { localEpsilon, localRounds } from "../privacy/local-gaussian.ts";

type LocalPromise = Extract<ManifestPrivacy, { mechanism: "local" }>;

export function localPromise(
  { noiseMultiplier, delta, maxEpsilon }: LocalPrivacy,
  clippingNorm: number,
): LocalPromise {
  const facts = {
    noiseMultiplier,
    clippingNorm,
    delta,
    maxEpsilon,
    epsilonPerUpdate: localEpsilon({ noiseMultiplier, delta, rounds: 1 }),
    updatesPerClient: localRounds({ noiseMultiplier, delta, maxEpsilon }),
  };
  return {
    mechanism: "local",
    unit: "client",
    adjacency: "replace-one",
    accountant: "exact-gaussian",
    ...facts,
    statement: localStatement(facts),
  };
}

function localStatement(
  facts: Omit<LocalPromise, "mechanism" | "unit" | "adjacency" | "accountant" | "statement">,
): string {
  const { epsilonPerUpdate, updatesPerClient, noiseMultiplier, clippingNorm, delta, maxEpsilon } =
    facts;
  return [
    `Each client's data are protected by noise that the client adds itself: whatever its data are, anything that`,
    `it sends is as likely to a factor e^epsilon, up to delta, with epsilon = ${roundedUp(epsilonPerUpdate, 4)} for one update and`,
    `at most ${maxEpsilon} for all its updates together, and delta = ${delta} (neighbours: any other data of one client;`,
    `accountant: exact Gaussian, no amplification by sampling). A client makes at most ${updatesPerClient} updates; its own ledger`,
    `counts them. Mechanism: every delta is clipped to L2 norm ${clippingNorm}, and Gaussian noise of ${noiseMultiplier} times`,
    `twice that norm is added before it is sent. This holds against everybody, the coordinator included, for`,
    `clients that run the published SDK and keep their ledger. It does not hide that a client took part, when,`,
    `how long it worked, and whether it gave a round up (as it does where its training diverges), nor protect a`,
    `person who runs several clients as one.`,
  ].join(" ");
}
