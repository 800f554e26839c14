/** How often somebody may come: requests and failed credentials by address, messages and check-ins by client. */

import type { ClientId } from "@tributary/protocol";

import type { Clock } from "../ports.ts";
import { addressKey } from "./address.ts";
import type { Limit } from "./limit.ts";
import { overLimit } from "./limit.ts";
import type { TokenBuckets } from "./token-buckets.ts";
import { createBucketMaker, createTokenBuckets } from "./token-buckets.ts";

export interface RateOptions {
  readonly requestsPerSecondPerAddress: number;
  readonly failedAuthenticationsPerSecondPerAddress: number;
  /** Of one connection. */
  readonly messagesPerSecond: number;
  /** Of all clients together. */
  readonly checkInsPerSecond: number;
  readonly checkInsPerSecondPerClient: number;
}

/** Every call throws FederatedError RATE_LIMITED, with the time until there is room, or does nothing. */
export interface Rates {
  /** One HTTP request, or the handshake of a socket. */
  request(address: string): void;
  /** Before credentials are looked at: too many of this address were wrong lately. */
  credentials(address: string): void;
  /** Credentials of this address were wrong. Never throws. */
  credentialsWereWrong(address: string): void;
  checkIn(clientId: ClientId): void;
  /** The budget of one connection. @returns what to call for each message */
  messages(): () => void;
}

/**
 * What may come at once, as seconds of the rate: a round that begins and a coordinator that starts again
 * wake all clients together, and those behind one network are one address.
 */
const BURST_SECONDS = 10;
/** Addresses or clients remembered of each rate: 120 bytes each, so 8 MB at most. */
const MAX_KEYS = 65_536;

export function createRates({ clock }: { readonly clock: Clock }, options: RateOptions): Rates {
  const bucketsOf = (perSecond: number, maxKeys = MAX_KEYS) =>
    createTokenBuckets({ perSecond, burst: perSecond * BURST_SECONDS, maxKeys });
  const requests = bucketsOf(options.requestsPerSecondPerAddress);
  const failures = bucketsOf(options.failedAuthenticationsPerSecondPerAddress);
  const checkInsOfClients = bucketsOf(options.checkInsPerSecondPerClient);
  const checkIns = bucketsOf(options.checkInsPerSecond, 1);
  const messagesOfOne = createBucketMaker({
    perSecond: options.messagesPerSecond,
    burst: options.messagesPerSecond * BURST_SECONDS,
  });

  function refuse(limit: Limit & keyof RateOptions, of: string, waitMs: number): void {
    if (waitMs === 0) return;
    const message = `more than ${options[limit]} ${of} a second; wait and come again`;
    throw overLimit(limit, message, waitMs);
  }
  const take = (limit: Limit & keyof RateOptions, of: string, buckets: TokenBuckets, key: string) =>
    refuse(limit, of, buckets.take(key, clock.monotonicMs()));

  return {
    request: (address) =>
      take(
        "requestsPerSecondPerAddress",
        "requests from one address",
        requests,
        addressKey(address),
      ),
    credentials: (address) =>
      // Not told apart from right ones: a guess that is refused unread teaches nothing.
      refuse(
        "failedAuthenticationsPerSecondPerAddress",
        "wrong credentials from one address",
        failures.waitMs(addressKey(address), clock.monotonicMs()),
      ),
    credentialsWereWrong: (address) => void failures.take(addressKey(address), clock.monotonicMs()),
    checkIn: (clientId) => {
      // First the client's own: what it has too much of must not use up what is there for all.
      const own = "check-ins of one client";
      take("checkInsPerSecondPerClient", own, checkInsOfClients, clientId);
      take("checkInsPerSecond", "check-ins of all clients", checkIns, "all");
    },
    messages: () => {
      const own = messagesOfOne();
      return () =>
        refuse("messagesPerSecond", "messages on one connection", own.take(clock.monotonicMs()));
    },
  };
}
