/** Who may open a connection: how many in all, of one address and of one client, and how often. */

import type { Duplex } from "node:stream";

import type { ClientId } from "@tributary/protocol";
import { FederatedError, isFederatedError } from "@tributary/protocol";

import { addressKey } from "../limits/address.ts";
import type { CountRefusal } from "../limits/limit.ts";
import { limitOf, overLimit } from "../limits/limit.ts";
import { createPlaces } from "../limits/places.ts";
import type { Rates } from "../limits/rates.ts";
import type { PeerAddress, RequestHead } from "../ports.ts";

export interface DoorkeeperDeps {
  readonly rates: Rates;
  readonly peerAddress: PeerAddress;
  readonly countRefusal: CountRefusal;
}

export interface DoorkeeperOptions {
  /** Connections beyond this are refused with RATE_LIMITED. */
  readonly maxClients: number;
  readonly connectionsPerAddress: number;
  readonly connectionsPerClient: number;
}

/** A connection from its upgrade on, before anybody knows whose it is. */
export interface Visitor {
  readonly request: RequestHead;
  once(event: "close", listener: () => void): unknown;
}

export interface Doorkeeper {
  /** Before the upgrade, where a refusal costs least. @throws FederatedError RATE_LIMITED */
  letUpgrade(request: RequestHead): void;
  /** Counts a connection from its upgrade to its end. */
  opened(visitor: Visitor): void;
  /**
   * Lets a visitor in and counts it until its connection closes.
   * @throws FederatedError RATE_LIMITED, MALFORMED_MESSAGE for a second handshake, what `identify` throws
   */
  admit(visitor: Visitor, identify: () => Promise<ClientId>): Promise<ClientId>;
}

/** Connections beyond a limit that are let in for as long as it takes to tell them why not further. */
const ROOM_FOR_REFUSALS = 64;
/** What those are told to wait who find every place taken. */
const RETRY_AFTER_MS = 5000;

export function createDoorkeeper(
  { rates, peerAddress, countRefusal }: DoorkeeperDeps,
  options: DoorkeeperOptions,
): Doorkeeper {
  const { maxClients, connectionsPerAddress, connectionsPerClient } = options;
  const open = createPlaces(maxClients + ROOM_FOR_REFUSALS);
  const openOfAddress = createPlaces(connectionsPerAddress + ROOM_FOR_REFUSALS);
  const all = createPlaces(maxClients);
  const ofAddress = createPlaces(connectionsPerAddress);
  const ofClient = createPlaces(connectionsPerClient);
  const shakenHands = new WeakSet<Visitor>();

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
    identify: () => Promise<ClientId>,
    keep: (release: (() => void) | undefined, refusal: () => FederatedError) => void,
  ): Promise<ClientId> {
    if (shakenHands.has(visitor)) {
      throw new FederatedError("MALFORMED_MESSAGE", "one connection has one handshake");
    }
    shakenHands.add(visitor);
    const address = keyOf(visitor.request);
    keep(all.take("all"), full.maxClients);
    keep(ofAddress.take(address), full.connectionsPerAddress);
    rates.credentials(address);
    try {
      const clientId = await identify();
      keep(ofClient.take(clientId), full.connectionsPerClient);
      return clientId;
    } catch (error) {
      if (isFederatedError(error) && error.code === "UNAUTHENTICATED") {
        rates.credentialsWereWrong(address);
      }
      throw error;
    }
  }

  return {
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
    },
    admit: async (visitor, identify) => {
      const held: (() => void)[] = [];
      try {
        const clientId = await admit(visitor, identify, (release, refusal) => {
          if (release === undefined) throw refusal();
          held.push(release);
          visitor.once("close", release);
        });
        return clientId;
      } catch (error) {
        for (const release of held) release();
        const limit = limitOf(error);
        if (limit !== undefined) countRefusal(limit);
        throw error;
      }
    },
  };
}

/** Answers an upgrade as HTTP does, since there is no socket to say it on, and hangs up. */
export function refuseUpgrade(socket: Duplex, error: FederatedError): void {
  const body = JSON.stringify(error.toProblem());
  const retryAfter =
    error.retryAfterMs === undefined
      ? ""
      : `retry-after: ${Math.ceil(error.retryAfterMs / 1000)}\r\n`;
  socket.on("error", () => undefined);
  socket.end(
    `HTTP/1.1 ${error.status} ${error.code}\r\nconnection: close\r\ncache-control: no-store\r\n` +
      `content-type: application/problem+json\r\n${retryAfter}` +
      `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}
