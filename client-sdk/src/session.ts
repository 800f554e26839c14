/** The one connection of a client: typed messages to and from the coordinator, over socket.io. */

import type {
  Ack,
  Assignment,
  CheckInReply,
  ClientEvents,
  CoordinatorEvents,
  HandshakeAuth,
  ModelPublished,
  RoundClosed,
  RoundId,
  TaskBrief,
  TaskEnded,
  TaskId,
  TaskPaused,
} from "@tributary/protocol";
import {
  FederatedError,
  fromErrorPayload,
  PROTOCOL_VERSION,
  SOCKET_PATH,
  toFederatedError,
} from "@tributary/protocol";
// socket.io-client, but in a browser: package.json.
import type { Socket } from "#socket";
import { io } from "#socket";

import type { Credentials } from "./credentials.ts";
import type { BackoffOptions } from "./delay.ts";
import { backoffDelay } from "./delay.ts";
import type { Subscribable } from "./emitter.ts";
import { createEmitter } from "./emitter.ts";
import {
  isAck,
  isAssignment,
  isModelPublished,
  isRoundClosed,
  isTaskEnded,
  isTaskPaused,
  REPLIES,
} from "./incoming.ts";

export interface SessionOptions {
  /** The coordinator. */
  readonly origin: string;
  readonly credentials: Pick<Credentials, "forHandshake" | "renewable">;
  readonly backoff: BackoffOptions;
  /** Longest wait for the answer to a message. */
  readonly ackTimeoutMs: number;
}

export interface SessionEvents {
  connected: undefined;
  disconnected: undefined;
  /** A try to connect has failed; others follow. */
  unreachable: undefined;
  /** The coordinator was reached and did not let this client in. */
  refused: FederatedError;
  assigned: Assignment;
  roundClosed: RoundClosed;
  published: ModelPublished;
  taskPaused: TaskPaused;
  taskEnded: TaskEnded;
}

/** Messages throw UNAVAILABLE without a connection or answer, and else what the coordinator said. */
export interface Session extends Subscribable<SessionEvents> {
  readonly connected: boolean;
  /** Connects, and connects again whenever the connection is lost. Calling it twice changes nothing. */
  open(): void;
  /** Connects at once, unless it is connected or the coordinator asked for a pause that is not over. */
  wake(): void;
  checkIn(taskId: TaskId): Promise<CheckInReply>;
  decline(roundId: RoundId): Promise<void>;
  leave(taskId: TaskId): Promise<void>;
  watch(taskId: TaskId): Promise<TaskBrief>;
  listenerCount(): number;
  /** Ends the connection and every wait for it. */
  close(): void;
}

type Request<E extends keyof ClientEvents> = Parameters<ClientEvents[E]>[0];
type Reply<E extends keyof ClientEvents> =
  Parameters<Parameters<ClientEvents[E]>[1]>[0] extends Ack<infer Value> ? Value : never;

export function createSession(options: SessionOptions): Session {
  const { origin, credentials, backoff, ackTimeoutMs } = options;
  // Only the SDK's own parts listen; a fault of one of them must not look like the coordinator's.
  const events = createEmitter<SessionEvents>((error) => {
    queueMicrotask(() => {
      throw error;
    });
  });
  let socket: Socket<CoordinatorEvents, ClientEvents> | undefined;
  let closed = false;
  let retryTimer: ReturnType<typeof setTimeout> | undefined;
  let refusals = 0;
  /** No try before: so the coordinator asked. */
  let restUntilMs = 0;
  let wokenAtMs = -Infinity;
  /** The token that the newest handshake was made with. */
  let shown: string | undefined;
  /** That token was refused, and the app is being asked for another. */
  let renewing: FederatedError | undefined;

  function open(): void {
    if (socket !== undefined || closed) return;
    const created: Socket<CoordinatorEvents, ClientEvents> = io(origin, {
      path: SOCKET_PATH,
      transports: ["websocket"],
      auth: (send) => void shakeHands(send),
      // A client of its own for each session: sessions share no connection and no back-off.
      forceNew: true,
      // Not socket.io's 0.5, which keeps half of the clients of a restarted coordinator together.
      randomizationFactor: 1,
      reconnectionDelay: backoff.baseMs,
      reconnectionDelayMax: backoff.maxMs,
      autoConnect: false,
    });
    created.on("connect", () => {
      refusals = 0;
      renewing = undefined;
      events.emit("connected", undefined);
    });
    created.on("disconnect", () => {
      events.emit("disconnected", undefined);
      if (!created.active) connectLater(undefined);
    });
    created.on("connect_error", (error: Error & { data?: unknown }) => {
      // An active socket is connecting again by itself.
      if (created.active) {
        events.emit("unreachable", undefined);
        return;
      }
      const refusal = fromErrorPayload(error.data);
      if (refusal.code !== "UNAUTHENTICATED" || !credentials.renewable || renewing !== undefined) {
        refused(refusal);
        return;
      }
      // The token may just have run out: nobody is told before the app has had a chance to renew it.
      renewing = refusal;
      retryTimer = setTimeout(() => created.connect(), 0);
    });

    async function shakeHands(send: (auth: HandshakeAuth) => void): Promise<void> {
      try {
        const auth = await credentials.forHandshake();
        if (closed) return;
        if (renewing !== undefined && auth.token === shown) throw renewing;
        shown = auth.token;
        send(auth);
      } catch (error) {
        if (closed) return;
        created.disconnect();
        refused(toFederatedError(error));
      }
    }
    // A hint that cannot be read is none: the next check-in tells the same.
    created.on("round:assigned", (message: unknown) => {
      if (isAssignment(message)) events.emit("assigned", message);
    });
    created.on("round:closed", (message: unknown) => {
      if (isRoundClosed(message)) events.emit("roundClosed", message);
    });
    created.on("model:published", (message: unknown) => {
      if (isModelPublished(message)) events.emit("published", message);
    });
    created.on("task:paused", (message: unknown) => {
      if (isTaskPaused(message)) events.emit("taskPaused", message);
    });
    created.on("task:ended", (message: unknown) => {
      if (isTaskEnded(message)) events.emit("taskEnded", message);
    });
    socket = created;
    created.connect();
  }

  function refused(error: FederatedError): void {
    renewing = undefined;
    connectLater(error.retryAfterMs);
    events.emit("refused", error);
  }

  /** After the coordinator closed or refused a connection, socket.io leaves the next try to us. */
  function connectLater(retryAfterMs: number | undefined): void {
    if (closed) return;
    refusals += 1;
    restUntilMs = performance.now() + (retryAfterMs ?? 0);
    clearTimeout(retryTimer);
    retryTimer = setTimeout(() => socket?.connect(), backoffDelay(refusals, backoff, retryAfterMs));
  }

  function wake(): void {
    const now = performance.now();
    if (socket === undefined || closed || socket.connected || now < restUntilMs) return;
    // Whoever calls often does not make a flood of it.
    if (now - wokenAtMs < backoff.baseMs) return;
    wokenAtMs = now;
    clearTimeout(retryTimer);
    // Ends a try that hangs, or the pause before the next one; nobody is told, as nothing was connected.
    socket.disconnect();
    socket.connect();
  }

  async function request<E extends keyof ClientEvents>(
    event: E,
    message: Request<E>,
  ): Promise<Reply<E>> {
    if (socket?.connected !== true) {
      throw new FederatedError("UNAVAILABLE", "there is no connection to the coordinator");
    }
    // The event map relates event, message and answer; socket.io's own types lose the relation.
    const untyped = socket as unknown as {
      timeout(ms: number): {
        emitWithAck(event: string, message: unknown): Promise<unknown>;
      };
    };
    let ack: unknown;
    try {
      ack = await untyped.timeout(ackTimeoutMs).emitWithAck(event, message);
    } catch (error) {
      throw new FederatedError(
        "UNAVAILABLE",
        `the coordinator did not answer "${event}" within ${ackTimeoutMs} ms`,
        { cause: error },
      );
    }
    if (isAck(ack) && !ack.ok) throw fromErrorPayload(ack.error);
    if (isAck(ack) && ack.ok && REPLIES[event](ack.value)) return ack.value as Reply<E>;
    throw new FederatedError(
      "UNAVAILABLE",
      `the coordinator's answer to "${event}" cannot be read; is it of another version than this client?`,
    );
  }

  return {
    get connected() {
      return socket?.connected === true;
    },
    on: events.on,
    open,
    wake,
    checkIn: (taskId) => request("checkin", { protocolVersion: PROTOCOL_VERSION, taskId }),
    decline: async (roundId) => {
      await request("decline", { roundId });
    },
    leave: async (taskId) => {
      await request("leave", { taskId });
    },
    watch: (taskId) => request("watch", { protocolVersion: PROTOCOL_VERSION, taskId }),
    listenerCount: () => events.listenerCount(),
    close: () => {
      closed = true;
      clearTimeout(retryTimer);
      socket?.disconnect();
      socket?.off();
      events.clear();
    },
  };
}
