/** A person's device: all that lasts in this browser, what they agreed to, and when it may train. */

import { FederatedError, sha256 } from "@tributary/protocol";

import type { ModelCache } from "../cache.ts";
import type { TrainingConditions } from "../conditions.ts";
import type { FeedbackStore } from "../encoding/feedback-store.ts";
import type { PendingUpdateStore } from "../pending-updates.ts";
import type { PrivacyLedgerStore } from "../privacy/ledger-store.ts";
import { createConditions } from "./conditions.ts";
import type { Consent } from "./consent.ts";
import { createConsent } from "./consent.ts";
import { createDatabase, STORES } from "./database.ts";
import { createDatabaseCache } from "./database-cache.ts";
import { createDatabaseFeedback } from "./database-feedback.ts";
import { createDatabaseLedger, createLedgerMark } from "./database-ledger.ts";
import { createDatabaseUpdates } from "./database-updates.ts";
import { forgotten, openPerson } from "./person.ts";
import type { ConditionOptions } from "./sensors.ts";
import { createSensors, readBattery } from "./sensors.ts";
import { createTurn } from "./turn.ts";
import type { World } from "./world.ts";
import { listen, theWorld } from "./world.ts";

export interface DeviceOptions {
  /** One for each person, where a browser has several. Default `default`. */
  readonly name?: string;
  /** The text that people agree to, or its version. With another one they are asked again. */
  readonly consentTo?: string;
}

/** What `createClient` takes of a device. */
export interface DeviceClientOptions {
  readonly clientKey: string;
  readonly cache: ModelCache;
  readonly privacy: { readonly ledger: PrivacyLedgerStore };
  readonly pendingUpdates: PendingUpdateStore;
  readonly feedback: FeedbackStore;
}

export interface Device extends DeviceClientOptions {
  readonly ledger: PrivacyLedgerStore;
  /** To spread into `createClient`. */
  readonly clientOptions: DeviceClientOptions;
  readonly consent: Consent;
  /** Aborts when the person is forgotten, in whichever tab, or the device is closed: pass it to `join`. */
  readonly signal: AbortSignal;
  /**
   * What stands against training here, to pass to `join`: no consent, a hidden tab, a low battery, a network that
   * is metered or should be spared, another tab that trains. Whoever listens to it waits for this tab's turn, so
   * show `participant.pausedBy` instead.
   */
  conditions(options?: ConditionOptions): TrainingConditions;
  /**
   * Deletes all that is kept here: key, models, trusted keys, ledger, updates, consent. Training stops in every
   * tab, and their devices are at an end (`signal`): close their clients, and open the device again for a new
   * person. @throws FederatedError UNAVAILABLE: nothing was deleted, and may be tried again
   */
  forgetMe(): Promise<void>;
  /** Stops listening and lets go of database and turn; what is kept stays. */
  close(): void;
}

/**
 * Opens what this browser keeps, and makes it at the first time. Tabs that open at once share one key.
 * @throws FederatedError UNAVAILABLE with `details.reason` ("blocked" in private windows and where site data is
 * switched off, "quota", "newer", "failed"), CONFIG_INVALID for a damaged key or a page without HTTPS
 */
export async function openDevice(
  options: DeviceOptions = {},
  world: World = theWorld(),
): Promise<Device> {
  if (world.isSecureContext === false) {
    throw new FederatedError(
      "CONFIG_INVALID",
      "a page must come by https://, or from localhost, to take part",
    );
  }
  const name = `tributary:${options.name ?? "default"}`;
  const text = await sha256(new TextEncoder().encode(options.consentTo ?? ""));
  const battery = readBattery(world);
  let look = () => {};
  const database = createDatabase(name, () => look());
  const person = await openPerson(database);
  const { clientKey, signal } = person;

  const channel = new BroadcastChannel(name);
  // Of its own each time: the one that listens is closed when the person is forgotten.
  const tellOthers = () => {
    const once = new BroadcastChannel(name);
    once.postMessage("look");
    once.close();
  };
  const watched = createConsent({
    ...{ person, text, tellOthers },
    now: () => new Date().toISOString(),
  });
  const consent: Consent = {
    get state() {
      return watched.state;
    },
    get since() {
      return watched.since;
    },
    grant: async () => {
      await watched.grant();
      // Whether it will is the browser's to say; without, what is kept may go when space runs out.
      world.navigator?.storage?.persist?.().catch(() => undefined);
    },
    withdraw: watched.withdraw,
    subscribe: watched.subscribe,
  };
  look = () => void watched.look();
  channel.onmessage = look;
  // A page that was put aside has heard nothing meanwhile.
  const stopListening = [
    listen(world, ["pageshow"], look),
    listen(world.document, ["visibilitychange", "resume"], look),
  ];
  const end = (reason: FederatedError) => person.end(reason);
  signal.addEventListener("abort", () => {
    for (const stop of stopListening) stop();
    channel.close();
    look = () => {};
    database.close();
  });
  await watched.look();
  // Forgotten in another tab while this one opened: somebody new is asked for.
  if (signal.aborted) return openDevice(options, world);

  const mark = createLedgerMark(name, () => world.localStorage);
  const turn = createTurn(name, world);
  const cache = createDatabaseCache(person);
  const ledger = createDatabaseLedger(person, mark);
  const pendingUpdates = createDatabaseUpdates(person);
  const feedback = createDatabaseFeedback(person);
  const kept = { clientKey, cache, pendingUpdates, feedback };

  return {
    ...kept,
    ledger,
    privacy: { ledger },
    clientOptions: { ...kept, privacy: { ledger } },
    consent,
    signal,
    conditions: (conditionOptions = {}) =>
      createConditions(createSensors({ world, consent, battery }, conditionOptions), turn),
    forgetMe: async () => {
      // First of all nothing is done any more.
      end(forgotten());
      mark.remove();
      await database.write(async (tx) => {
        // Somebody else's by now, if another tab was faster.
        if ((await tx.objectStore("own").get("clientKey")) !== clientKey) return;
        await Promise.all(STORES.map((store) => tx.objectStore(store).clear()));
      });
      // Once more, for what another tab saved in between.
      mark.remove();
      tellOthers();
      database.close();
    },
    close: () => {
      end(new FederatedError("ABORTED", "the device is closed", { details: { reason: "closed" } }));
      channel.close();
    },
  };
}
