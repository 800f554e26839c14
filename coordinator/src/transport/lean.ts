/**
 * What engine.io and socket.io keep of every connection though nobody asks for it again: with thousands of
 * connections it would be a third of all memory. Whatever of it another version has elsewhere simply stays.
 */

import type { EventEmitter } from "node:events";
import type { Duplex } from "node:stream";

type Listener = (() => void) & { readonly listener?: () => void };

/**
 * Runs the upgrade, and takes away the listener by which engine.io's stand-in for a response would keep the
 * request for as long as the connection lives; it is there for middleware, of which there is none here.
 */
export function upgradeLeanly(socket: Duplex, upgrade: () => void): void {
  const before = new Set(socket.rawListeners("close"));
  upgrade();
  for (const added of socket.rawListeners("close") as Listener[]) {
    // Set by `once`, and without a name: those of `ws` and of Node have one.
    if (!before.has(added) && added.listener?.name === "") socket.off("close", added.listener);
  }
}

/** An admitted socket.io socket, as far as it is looked at here. */
interface Admitted {
  readonly conn: { request: unknown };
  handshake: unknown;
}

/** Headers, URL and credentials of the handshake, once it is over. The bare socket stays: it can be cut. */
export function forgetHandshake(admitted: object): void {
  const { conn } = admitted as Admitted;
  const { socket } = conn.request as { readonly socket: EventEmitter };
  conn.request = { socket, headers: NO_HEADERS, connection: socket };
  (admitted as Admitted).handshake = NO_HANDSHAKE;
}

const NO_HEADERS = Object.freeze({});
const NO_HANDSHAKE = Object.freeze({ headers: NO_HEADERS, auth: NO_HEADERS, query: NO_HEADERS });
