/**
 * Checking in by HTTP, for clients that cannot hold a socket: functions that live for a minute, apps in the
 * background, devices that wake once a night. One request asks for a place, a PUT hands the update in.
 *
 * The client key travels in {@link CLIENT_KEY_HEADER}, the token that admits clients, where one is asked for, as
 * bearer token; both mean what they mean in the socket's handshake.
 */

import type { CheckInReply } from "./events.ts";

export const CLIENT_KEY_HEADER = "tributary-client-key";

/** Longest wait for a place that a client can ask for; the coordinator may have a shorter one. */
export const MAX_WAIT_MS = 60_000;

export interface CheckInQuery {
  readonly protocolVersion: number;
  /** How long the client can wait for a place; absent: as long as the coordinator lets it. */
  readonly waitMs?: number;
}

export interface HttpCheckInReply extends CheckInReply {
  /**
   * When to check in again, from now on: for another try where there is no assignment, for the next round where
   * there is one. Made for this client alone: whoever keeps to it finds a round, and no crowd.
   */
  readonly comeBackInMs: number;
}
