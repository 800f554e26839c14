/** Clients that have checked in for the next round of one task and have no place in the open one. */

import type { ClientId } from "@tributary/protocol";

export interface WaitingRoom {
  readonly size: number;
  add(clientId: ClientId): void;
  remove(clientId: ClientId): void;
  /** Everybody who waits, in no particular order. */
  all(): readonly ClientId[];
}

export function createWaitingRoom(): WaitingRoom {
  const clients = new Set<ClientId>();
  return {
    get size() {
      return clients.size;
    },
    add: (clientId) => void clients.add(clientId),
    remove: (clientId) => void clients.delete(clientId),
    all: () => [...clients],
  };
}
