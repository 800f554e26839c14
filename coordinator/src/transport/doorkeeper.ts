/** Who may open a connection: how many in all, of one address and of one client, and how often. */

import { FederatedError, isFederatedError } from "@tributary/protocol";

import { addressKey } from "../limits/address.ts";
import type { CountRefusal } from "../limits/limit.ts";
import { limitOf, overLimit } from "../limits/limit.ts";
import { createPlaces } from "../limits/places.ts";
import type { Rates } from "../limits/rates.ts";
import type { AdmittedClient, Clock, PeerAddress, RequestHead, Timer } from "../ports.ts";

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
  on(event: "close", listener: () => void): unknown;
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

/** What one connection holds, given back when it closes. */
interface Visit {
  readonly address: string;
  /** Cuts it when nobody is admitted in time. */
  patience?: Timer;
  state: "new" | "shakingHands" | "admitted";
  counted: boolean;
  ofAddress: boolean;
  ofClient: string | undefined;
  closed: boolean;
}

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
  const visits = new WeakMap<Visitor, Visit>();

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
    visit: Visit,
    identify: () => Promise<AdmittedClient>,
  ): Promise<AdmittedClient> {
    if (!all.claim("all")) throw full.maxClients();
    visit.counted = true;
    if (!ofAddress.claim(visit.address)) throw full.connectionsPerAddress();
    visit.ofAddress = true;
    rates.credentials(visit.address);
    try {
      const client = await identify();
      if (!ofClient.claim(client.clientId)) throw full.connectionsPerClient();
      visit.ofClient = client.clientId;
      return client;
    } catch (error) {
      if (isFederatedError(error) && error.code === "UNAUTHENTICATED") {
        rates.credentialsWereWrong(visit.address);
      }
      throw error;
    }
  }

  /** What an admitted one has, its place among the open connections excepted. Again changes nothing. */
  function release(visit: Visit): void {
    if (visit.counted) all.give("all");
    if (visit.ofAddress) ofAddress.give(visit.address);
    if (visit.ofClient !== undefined) ofClient.give(visit.ofClient);
    visit.counted = false;
    visit.ofAddress = false;
    visit.ofClient = undefined;
  }

  /** In a while: it gets time to read why. */
  function hangUpSoon(visitor: Visitor, visit: Visit): void {
    visit.patience?.cancel();
    if (visit.closed) return;
    const { socket } = visitor.request;
    visit.patience = clock.after(LINGER_MS, () => socket.destroy());
  }

  return {
    isAdmitted: (visitor) => visits.get(visitor)?.state === "admitted",
    letUpgrade: (request) => {
      rates.request(peerAddress(request));
      if (open.taken("all") >= maxClients + ROOM_FOR_REFUSALS) throw full.maxClients();
      if (openOfAddress.taken(keyOf(request)) >= connectionsPerAddress + ROOM_FOR_REFUSALS) {
        throw full.connectionsPerAddress();
      }
    },
    opened: (visitor) => {
      const { socket } = visitor.request;
      const visit: Visit = {
        address: keyOf(visitor.request),
        ...{ state: "new", counted: false, ofAddress: false, ofClient: undefined, closed: false },
      };
      visits.set(visitor, visit);
      const isOpen = open.claim("all");
      const isOpenOfAddress = openOfAddress.claim(visit.address);
      visit.patience = clock.after(options.handshakeTimeoutMs, () => {
        countRefusal("handshakeTimeoutMs");
        socket.destroy();
      });
      // One listener, as there are thousands of connections, and not by `once`, which keeps three things of each.
      visitor.on("close", () => {
        if (visit.closed) return;
        visit.patience?.cancel();
        visit.closed = true;
        if (isOpen) open.give("all");
        if (isOpenOfAddress) openOfAddress.give(visit.address);
        release(visit);
      });
    },
    admit: async (visitor, identify) => {
      const visit = visits.get(visitor);
      if (visit === undefined) throw new Error("nobody is admitted who has not come in");
      if (visit.state !== "new") {
        // The first one's places stay with its connection.
        hangUpSoon(visitor, visit);
        throw new FederatedError("MALFORMED_MESSAGE", "one connection has one handshake");
      }
      visit.state = "shakingHands";
      try {
        const client = await admit(visit, identify);
        visit.state = "admitted";
        visit.patience?.cancel();
        delete visit.patience;
        // It closed while its credentials were looked at.
        if (visit.closed) release(visit);
        return client;
      } catch (error) {
        release(visit);
        hangUpSoon(visitor, visit);
        const limit = limitOf(error);
        if (limit !== undefined) countRefusal(limit);
        throw error;
      }
    },
  };
}
