/**
 * What stands in for socket.io-client in browsers (`#socket` in package.json): its protocol as far as the SDK speaks
 * it, text over one websocket in the root namespace (engine.io 4, socket.io 5), at a sixth of the size. Names
 * and meanings are those of socket.io-client, so that `session.ts` need not know which of the two it has.
 */

export interface TextSocketOptions {
  readonly path: string;
  /** Called for each connection; what it sends is what the server knows this client by. */
  readonly auth: (send: (auth: unknown) => void) => void;
  /** Bound of the first pause before another try, and of the longest. */
  readonly reconnectionDelay: number;
  readonly reconnectionDelayMax: number;
}

type Listener = (value: never) => void;

export interface TextSocket {
  readonly connected: boolean;
  /** Connected, or trying to be. */
  readonly active: boolean;
  on(event: string, listener: Listener): void;
  /** Removes every listener. */
  off(): void;
  connect(): void;
  disconnect(): void;
  timeout(ms: number): { emitWithAck(event: string, message: unknown): Promise<unknown> };
}

/** A websocket that is not open, or a client that is not let in or refused, by then will never be. */
const PATIENCE_MS = 20_000;
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Node has none of these. */
const PAGE: Partial<Pick<typeof globalThis, "addEventListener" | "removeEventListener">> =
  globalThis;

/** What the socket tells by itself: a server cannot. */
const OWN_EVENTS: ReadonlySet<unknown> = new Set(["connect", "connect_error", "disconnect"]);

/** Connects once `connect` is called, and again whenever the connection is lost. */
export function io(origin: string, options: TextSocketOptions): TextSocket {
  const url = `${origin.replace(/^http/, "ws")}${options.path}/?EIO=4&transport=websocket`;
  const listeners = new Map<string, Listener[]>();
  const acks = new Map<number, (answer: unknown) => void>();
  let acknowledged = 0;
  let failures = 0;
  let connected = false;
  let active = false;
  let retryTimer: ReturnType<typeof setTimeout> | undefined;
  /** Ends the connection, or the try to make one. */
  let drop: ((tell: () => void) => void) | undefined;
  let write: (frame: string) => void = () => undefined;

  const emit = (event: string, value?: unknown) => {
    for (const listener of [...(listeners.get(event) ?? [])]) listener(value as never);
  };

  function tryLater(): void {
    const { reconnectionDelay, reconnectionDelayMax } = options;
    const bound = Math.min(reconnectionDelayMax, reconnectionDelay * 2 ** failures);
    failures = Math.min(failures + 1, 30);
    retryTimer = setTimeout(open, Math.random() * bound);
  }

  function open(): void {
    let websocket: WebSocket;
    try {
      websocket = new WebSocket(url);
    } catch (error) {
      // As from a page with https:// to a coordinator without.
      tryLater();
      emit("connect_error", error);
      return;
    }
    let silence: ReturnType<typeof setTimeout> | undefined;
    let patienceMs = PATIENCE_MS;
    const hear = () => {
      clearTimeout(silence);
      silence = setTimeout(lose, Math.min(patienceMs, LONGEST_TIMER_MS));
    };
    const isOver = () => drop !== end;

    function end(tell: () => void): void {
      if (isOver()) return;
      drop = undefined;
      clearTimeout(silence);
      PAGE.removeEventListener?.("offline", lose);
      websocket.close();
      const wasConnected = connected;
      connected = false;
      for (const answer of acks.values()) answer(undefined);
      acks.clear();
      if (wasConnected) emit("disconnect");
      else tell();
    }

    /** The connection is gone, or was never there: another try follows. */
    function lose(): void {
      if (isOver()) return;
      tryLater();
      end(() => emit("connect_error", new Error("the websocket failed")));
    }

    /** The server wants this client no more, for now: the next try is the owner's. */
    function beSentAway(error: Error): void {
      active = false;
      end(() => emit("connect_error", error));
    }

    function read(frame: unknown): void {
      if (typeof frame !== "string") throw new TypeError("only text is spoken here");
      if (frame === "2") write("3");
      else if (frame === "6") return;
      else if (frame.startsWith("0")) {
        const { pingInterval, pingTimeout } = JSON.parse(frame.slice(1)) as Record<string, unknown>;
        patienceMs = Number(pingInterval) + Number(pingTimeout);
        if (!(patienceMs > 0)) throw new TypeError("a handshake without heartbeats");
        options.auth((auth) => {
          if (!isOver()) write(`40${JSON.stringify(auth)}`);
        });
      } else readPacket(frame);
    }

    function readPacket(frame: string): void {
      const [, type, id, json = ""] = /^4([0-4])(\d*)(.*)$/s.exec(frame) ?? [];
      if (type === "1") {
        beSentAway(new Error("sent away"));
        return;
      }
      const value = JSON.parse(json) as unknown;
      if (type === "0" && !connected) {
        failures = 0;
        connected = true;
        emit("connect");
      } else if (type === "4") {
        const { message, data } = value as Record<string, unknown>;
        beSentAway(Object.assign(new Error(String(message)), { data }));
      } else if (!Array.isArray(value)) throw new TypeError("neither an event nor an answer");
      else if (type === "3") {
        acks.get(Number(id))?.(value[0]);
        acks.delete(Number(id));
      } else if (type === "2" && connected && !OWN_EVENTS.has(value[0])) {
        emit(String(value[0]), value[1]);
      } else throw new TypeError("an event that no server may tell");
    }

    drop = end;
    write = (frame) => {
      if (websocket.readyState === websocket.OPEN) websocket.send(frame);
    };
    websocket.onclose = lose;
    websocket.onerror = lose;
    websocket.onmessage = ({ data }: { data: unknown }) => {
      if (isOver()) return;
      hear();
      try {
        read(data);
      } catch {
        // What cannot be read is not gone on from.
        lose();
      }
    };
    // A browser that knows that it is offline need not wait for the silence.
    PAGE.addEventListener?.("offline", lose);
    hear();
  }

  return {
    get connected() {
      return connected;
    },
    get active() {
      return active;
    },
    on: (event, listener) => {
      listeners.set(event, [...(listeners.get(event) ?? []), listener]);
    },
    off: () => listeners.clear(),
    connect: () => {
      if (active) return;
      active = true;
      open();
    },
    disconnect: () => {
      active = false;
      clearTimeout(retryTimer);
      if (connected) write("41");
      drop?.(() => undefined);
    },
    timeout: (ms) => ({
      emitWithAck: (event, message) =>
        new Promise((resolve, reject) => {
          const id = acknowledged++;
          const timer = setTimeout(() => answer(undefined), ms);
          const answer = (value: unknown) => {
            clearTimeout(timer);
            acks.delete(id);
            if (value === undefined) reject(new Error("no answer"));
            else resolve(value);
          };
          acks.set(id, answer);
          write(`42${id}${JSON.stringify([event, message])}`);
        }),
    }),
  };
}
