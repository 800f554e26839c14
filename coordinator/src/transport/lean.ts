/**
 * What engine.io and socket.io keep of every connection though nobody asks for it again: with thousands of
 * connections it would be a third of all memory. Whatever of it another version has elsewhere simply stays.
 */

import { EventEmitter } from "node:events";
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

// ------------------------------------------------------------------- once it is there for good

interface Emitter {
  _events?: unknown;
}
type Listeners = Record<string | symbol, unknown>;

/**
 * Node keeps listeners in objects without a prototype, which V8 makes hash tables of: 470 bytes for seven, where an
 * object of a constructor has 80.
 */
const LeanListeners = function () {} as unknown as new () => Listeners;
LeanListeners.prototype = Object.create(null) as object;

/** An array that was pushed to has room for seventeen. */
const trimmed = (array: readonly unknown[]): unknown[] => array.slice();

function leanEmitter(emitter: unknown): void {
  if (!isObject(emitter)) return;
  const { _events: events } = emitter as Emitter;
  if (!isObject(events) || Array.isArray(events)) return;
  const lean = new LeanListeners();
  for (const type of Reflect.ownKeys(events)) {
    const heard = (events as Listeners)[type];
    if (heard !== undefined) lean[type] = Array.isArray(heard) ? trimmed(heard) : heard;
  }
  (emitter as Emitter)._events = lean;
}

function leanArray(owner: unknown, name: string): void {
  if (!isObject(owner)) return;
  const array = (owner as Listeners)[name];
  if (Array.isArray(array)) (owner as Listeners)[name] = trimmed(array);
}

/** A timer that ran while this was a request. Under Node's own symbol, as nothing else knows where it is. */
function forgetDeadTimer(socket: object): void {
  for (const symbol of Object.getOwnPropertySymbols(socket)) {
    if (symbol.description !== "timeout") continue;
    const timer = (socket as Listeners)[symbol];
    if (isObject(timer) && (timer as Listeners)._destroyed === true) {
      (socket as Listeners)[symbol] = null;
    }
  }
}

const partOf = (whole: unknown, name: string): unknown =>
  isObject(whole) ? (whole as Listeners)[name] : undefined;

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;

/** Of acknowledgements: we ask clients for none. */
const NO_ACKNOWLEDGEMENTS = new Map<never, never>();

/** What of a connection is larger than it need be, once all that listens to it does. */
export function makeLean(admitted: object): void {
  const conn = partOf(admitted, "conn");
  const transport = partOf(conn, "transport");
  const webSocket = partOf(transport, "socket");
  const bare = partOf(partOf(conn, "request"), "socket");
  forgetUpgrade(webSocket);
  for (const emitter of [admitted, conn, transport, webSocket, bare]) leanEmitter(emitter);
  leanArray(conn, "cleanupFn");
  leanArray(admitted, "fns");
  const decoded = partOf(partOf(partOf(admitted, "client"), "decoder"), "_callbacks");
  for (const name of isObject(decoded) ? Object.keys(decoded) : []) leanArray(decoded, name);
  const { acks } = admitted as Listeners;
  if (acks instanceof Map && acks.size === 0) (admitted as Listeners).acks = NO_ACKNOWLEDGEMENTS;
  if (isObject(bare)) forgetDeadTimer(bare);
}

/** The listener for faults before the upgrade: from there on the transport hears them. */
function forgetUpgrade(webSocket: unknown): void {
  if (!(webSocket instanceof EventEmitter)) return;
  const all = webSocket.rawListeners("error") as Listener[];
  const early = all.find(({ name }) => name === "onUpgradeError");
  // Never the last one: a fault that nobody hears ends the process.
  if (early !== undefined && all.length > 1) webSocket.off("error", early);
}
