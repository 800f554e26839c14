/** Who may open a connection: how many in all, of one address and of one client, and how often. */

import { FederatedError, isFederatedError } from "@tributary/protocol";

import { addressKey } from "../limits/address.ts";
import type { CountRefusal } from "../limits/limit.ts";
import { limitOf, overLimit } from "../limits/limit.ts";
import { createPlaces } from "../limits/places.ts";
import type { Rates } from "../limits/rates.ts";
import type { AdmittedClient, Clock, PeerAddress, RequestHead } from "../ports.ts";

export interface DoorkeeperDeps {
  readonly rates: Rates;
  readonly clock: Pick<Clock, "after">;
  readonly peerAddress: PeerAddress;
  readonly countRefusal: CountRefusal;
}

export interface DoorkeeperOptions {
  /** Connections beyond this are refused with RATE_LIMITED. */
  readonly maxClients: number;
  readonly connectionsPerAddress: number;
  readonly connectionsPerClient: number;
  /** A connection that has not said who it is by then is cut. */
  readonly handshakeTimeoutMs: number;
}

/** A connection from its upgrade on, before anybody knows whose it is. */
export interface Visitor {
  readonly request: RequestHead & {
    /** Without a word: a polite close waits half a minute for the other end's. */
    readonly socket: { destroy(): unknown };
  };
  once(event: "close", listener: () => void): unknown;
}

export interface Doorkeeper {
  /** Before the upgrade, where a refusal costs least. @throws FederatedError RATE_LIMITED */
  letUpgrade(request: RequestHead): void;
  /** Counts a connection from its upgrade to its end, and ends it when nobody is admitted on it. */
  opened(visitor: Visitor): void;
  /**
   * Lets a visitor in and counts it until its connection closes.
   * @throws FederatedError RATE_LIMITED, MALFORMED_MESSAGE for a second handshake, what `identify` throws
   */
  admit(visitor: Visitor, identify: () => Promise<AdmittedClient>): Promise<AdmittedClient>;
  isAdmitted(visitor: Visitor): boolean;
}

/** Connections beyond a limit that are let in for as long as it takes to tell them why not further. */
const ROOM_FOR_REFUSALS = 64;
/** What those are told to wait who find every place taken. */
const RETRY_AFTER_MS = 5000;
/** Time that a refused one has to read why. An honest one hangs up itself. */
const LINGER_MS = 1000;

export function createDoorkeeper(
  { rates, clock, peerAddress, countRefusal }: DoorkeeperDeps,
  options: DoorkeeperOptions,
): Doorkeeper {
  const { maxClients, connectionsPerAddress, connectionsPerClient } = options;
  const open = createPlaces(maxClients + ROOM_FOR_REFUSALS);
  const openOfAddress = createPlaces(connectionsPerAddress + ROOM_FOR_REFUSALS);
  const all = createPlaces(maxClients);
  const ofAddress = createPlaces(connectionsPerAddress);
  const ofClient = createPlaces(connectionsPerClient);
  const shakenHands = new WeakSet<Visitor>();
  const admitted = new WeakSet<Visitor>();

  const full = {
    maxClients: () =>
      overLimit(
        "maxClients",
        `${maxClients} clients are connected, as many as there may be`,
        RETRY_AFTER_MS,
      ),
    connectionsPerAddress: () =>
      overLimit(
        "connectionsPerAddress",
        `${connectionsPerAddress} connections of this address are open, as many as there may be`,
        RETRY_AFTER_MS,
      ),
    connectionsPerClient: () =>
      overLimit(
        "connectionsPerClient",
        `${connectionsPerClient} connections of this client are open, as many as there may be`,
        RETRY_AFTER_MS,
      ),
  };
  const keyOf = (request: RequestHead) => addressKey(peerAddress(request));

  /** Credentials cost more than a number, so they come last but for the limit that needs them. */
  async function admit(
    visitor: Visitor,
    identify: () => Promise<AdmittedClient>,
    keep: (release: (() => void) | undefined, refusal: () => FederatedError) => void,
  ): Promise<AdmittedClient> {
    if (shakenHands.has(visitor)) {
      throw new FederatedError("MALFORMED_MESSAGE", "one connection has one handshake");
    }
    shakenHands.add(visitor);
    const address = keyOf(visitor.request);
    keep(all.take("all"), full.maxClients);
    keep(ofAddress.take(address), full.connectionsPerAddress);
    rates.credentials(address);
    try {
      const client = await identify();
      keep(ofClient.take(client.clientId), full.connectionsPerClient);
      return client;
    } catch (error) {
      if (isFederatedError(error) && error.code === "UNAUTHENTICATED") {
        rates.credentialsWereWrong(address);
      }
      throw error;
    }
  }

  function hangUpSoon(visitor: Visitor): void {
    const patience = clock.after(LINGER_MS, () => visitor.request.socket.destroy());
    visitor.once("close", () => patience.cancel());
  }

  return {
    isAdmitted: (visitor) => admitted.has(visitor),
    letUpgrade: (request) => {
      rates.request(peerAddress(request));
      if (open.taken("all") >= maxClients + ROOM_FOR_REFUSALS) throw full.maxClients();
      if (openOfAddress.taken(keyOf(request)) >= connectionsPerAddress + ROOM_FOR_REFUSALS) {
        throw full.connectionsPerAddress();
      }
    },
    opened: (visitor) => {
      for (const release of [open.take("all"), openOfAddress.take(keyOf(visitor.request))]) {
        if (release !== undefined) visitor.once("close", release);
      }
      const patience = clock.after(options.handshakeTimeoutMs, () => {
        if (admitted.has(visitor)) return;
        countRefusal("handshakeTimeoutMs");
        visitor.request.socket.destroy();
      });
      visitor.once("close", () => patience.cancel());
    },
    admit: async (visitor, identify) => {
      const held: (() => void)[] = [];
      try {
        const client = await admit(visitor, identify, (release, refusal) => {
          if (release === undefined) throw refusal();
          held.push(release);
          visitor.once("close", release);
        });
        admitted.add(visitor);
        return client;
      } catch (error) {
        for (const release of held) release();
        hangUpSoon(visitor);
        const limit = limitOf(error);
        if (limit !== undefined) countRefusal(limit);
        throw error;
      }
    },
  };
}
