/** Control messages over socket.io: each is checked against its schema, answered, and bounded in size. */

import type { IncomingMessage, Server as HttpServer } from "node:http";
import type { Duplex } from "node:stream";

import type { Ack, ClientId, ClientEvents, CoordinatorEvents, TaskId } from "@tributary/protocol";
import { FederatedError, PROTOCOL_VERSION, toFederatedError } from "@tributary/protocol";
import {
  CheckInSchema,
  DeclineSchema,
  HandshakeAuthSchema,
  LeaveSchema,
  WatchSchema,
} from "@tributary/protocol/schema";
import { Server as Engine } from "engine.io";
import type { Socket as AnySocket } from "socket.io";
import { Server } from "socket.io";
import type { Static, TSchema } from "typebox";
import { Compile } from "typebox/compile";

import { limitOf, overLimit } from "../limits/limit.ts";
import type {
  AdmittedClient,
  ClientDesk,
  ClientGateway,
  Clock,
  Edge,
  Instant,
  Logger,
} from "../ports.ts";
import type { DoorkeeperDeps, DoorkeeperOptions } from "./doorkeeper.ts";
import { createDoorkeeper } from "./doorkeeper.ts";
import { createFrameGuard } from "./frames.ts";
import { forgetHandshake, makeLean, upgradeLeanly } from "./lean.ts";
import { cutWhenUnread } from "./unread.ts";
import { upgradeFault } from "./upgrade.ts";

interface SocketData extends AdmittedClient {
  /** Tasks that this connection has offered its client for; another array each time, with no room to spare. */
  offers: readonly TaskId[];
}
type Nothing = Record<string, never>;
type Socket = AnySocket<ClientEvents, CoordinatorEvents, Nothing, SocketData>;

type EventName = keyof ClientEvents;

/** What is known of a connection while it talks. */
interface Talk {
  readonly socket: Socket;
  readonly desk: ClientDesk;
  readonly spend: () => void;
  refusedInARow: number;
  underWay: number;
}

interface WebSocketTransport {
  readonly socket: Parameters<ReturnType<typeof createFrameGuard>>[1];
}

export interface SocketServerDeps extends DoorkeeperDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly edge: Edge;
}

export interface SocketServerOptions extends DoorkeeperOptions {
  /** Largest control message; bytes travel by HTTP. */
  readonly maxMessageBytes: number;
  /** Messages of one connection; more are refused. */
  readonly messagesPerSecond: number;
}

export interface SocketServer {
  readonly gateway: ClientGateway;
  /** Has a connection of this client offered it for the task? */
  hasOffered(clientId: ClientId, taskId: TaskId): boolean;
  /** Begins to take connections on the server, for this desk. */
  attach(server: HttpServer, desk: ClientDesk): void;
  close(): void;
}

/**
 * An event as socket.io's `emit` writes it (its protocol 5, without namespace and acknowledgement). It looks for
 * binary data in each message anew, which takes longer than to write the text of it.
 */
const packetOf = <E extends keyof CoordinatorEvents>(
  event: E,
  ...message: Parameters<CoordinatorEvents[E]>
): string => `2${JSON.stringify([event, ...message])}`;

function write(socket: Socket, packet: string): void {
  if (socket.connected) socket.conn.write(packet);
}

/** Clients of one socket.io room learn of a task's models. */
const watchersOf = (taskId: TaskId) => `task:${taskId}`;

export function createSocketServer(
  deps: SocketServerDeps,
  options: SocketServerOptions,
): SocketServer {
  const { clock, logger, edge, rates, countRefusal } = deps;
  const doorkeeper = createDoorkeeper(deps, options);
  const io = new Server<ClientEvents, CoordinatorEvents, Nothing, SocketData>({
    serveClient: false,
  });
  const engine = new Engine({
    transports: ["websocket"],
    maxHttpBufferSize: options.maxMessageBytes,
    allowUpgrades: false,
    perMessageDeflate: false,
  });
  io.bind(engine);
  /** Connections of each client, the newest last. An account may have several devices. */
  const connections = new Map<ClientId, Socket[]>();

  const ownOf = (clientId: ClientId): readonly Socket[] => connections.get(clientId) ?? [];
  const connectionsOf = (clientIds: Iterable<ClientId>): Socket[] => [...clientIds].flatMap(ownOf);

  const gateway: ClientGateway = {
    // One place, one piece of work: to the newest connection that offered itself for the task.
    assign: (clientId, assignment) => {
      const own = ownOf(clientId);
      const offered = own.findLast(({ data }) => data.offers.includes(assignment.taskId));
      const to = offered ?? own.at(-1);
      if (to !== undefined) write(to, packetOf("round:assigned", assignment));
    },
    closeRound: (clientIds, message) => {
      const packet = packetOf("round:closed", message);
      for (const socket of connectionsOf(clientIds)) write(socket, packet);
    },
    dismiss: (clientIds) => {
      for (const socket of connectionsOf(clientIds)) socket.disconnect(true);
    },
    publishModel: (message) => io.to(watchersOf(message.taskId)).emit("model:published", message),
    taskPaused: (message) => io.to(watchersOf(message.taskId)).emit("task:paused", message),
    taskEnded: (message) => io.to(watchersOf(message.taskId)).emit("task:ended", message),
  };

  const deafAfter = DEAF_SECONDS * options.messagesPerSecond;
  const guardFrames = createFrameGuard(clock, {
    perSecond: options.messagesPerSecond,
    burst: deafAfter,
    beforeAdmission: MAX_EARLY_FRAMES,
    unreadBytes: MAX_BYTES_UNREAD,
  });
  let closed = false;
  function attach(server: HttpServer, desk: ClientDesk): void {
    io.use((socket, next) => {
      void admit(socket, desk)
        .then(() => next())
        .catch((error: unknown) => {
          next(handshakeError(error));
        });
    });
    io.on("connection", (socket) => serve(socket, desk));
    engine.on("connection", (visitor: Socket["conn"]) => {
      doorkeeper.opened(visitor);
      cutWhenUnread(visitor, UNREAD);
      // Of engine.io's transport only this one is in use.
      const { socket } = visitor.transport as unknown as WebSocketTransport;
      guardFrames(visitor, socket, () => doorkeeper.isAdmitted(visitor));
    });
    // Not `io.attach()`: it would answer upgrades and polling by itself, before we have looked at them.
    server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      const fault = closed ? closing() : whyNotUpgrade(request);
      if (fault === undefined) {
        upgradeLeanly(socket, () => engine.handleUpgrade(request, socket, head));
        return;
      }
      logger.debug({ code: fault.code }, "a connection was refused");
      countIfLimit(fault);
      edge.refuse(socket, fault);
    });
  }

  function countIfLimit(error: FederatedError): void {
    const limit = limitOf(error);
    if (limit !== undefined) countRefusal(limit);
  }

  function refused(error: FederatedError): Ack<never> {
    countIfLimit(error);
    return { ok: false, error: error.toPayload() };
  }

  function whyNotUpgrade(request: IncomingMessage): FederatedError | undefined {
    try {
      doorkeeper.letUpgrade(request);
      return upgradeFault(request, edge);
    } catch (error) {
      return toFederatedError(error);
    }
  }

  async function admit(socket: Socket, desk: ClientDesk): Promise<void> {
    const client = await doorkeeper.admit(socket.conn, async () =>
      desk.authenticate(checkAuth(socket.handshake.auth)),
    );
    socket.data = { ...client, offers: NO_OFFERS };
    forgetHandshake(socket);
  }

  /** With as little of its own for each connection as can be: there are thousands. */
  function serve(socket: Socket, desk: ClientDesk): void {
    const { clientId, validUntil } = socket.data;
    if (validUntil !== undefined) endAt(socket, validUntil);
    const others = connections.get(clientId);
    if (others !== undefined) others.push(socket);
    else {
      connections.set(clientId, [socket]);
      desk.connected(clientId);
    }
    socket.on("disconnect", () => {
      const left = ownOf(clientId).filter((other) => other !== socket);
      if (left.length > 0) connections.set(clientId, left);
      else {
        connections.delete(clientId);
        desk.disconnected(clientId);
      }
    });

    const talk: Talk = { socket, desk, spend: rates.messages(), refusedInARow: 0, underWay: 0 };
    // Every message ends here: socket.io need not know a listener for each kind.
    socket.use((packet: readonly unknown[]) => hear(talk, packet));
    makeLean(socket);
  }

  function hear(talk: Talk, packet: readonly unknown[]): void {
    // What came in the same breath as the last straw.
    if (talk.refusedInARow > deafAfter) return;
    const last: unknown = packet.at(-1);
    const reply = typeof last === "function" ? (last as (reply: Ack<unknown>) => void) : () => {};
    let event: EventName;
    try {
      talk.spend();
      event = eventOf(packet);
      talk.refusedInARow = 0;
    } catch (error) {
      talk.refusedInARow += 1;
      reply(refused(toFederatedError(error)));
      // Who does not hear a refusal does not read them either, and they must not pile up.
      if (talk.refusedInARow > deafAfter) talk.socket.conn.request.socket.destroy();
      return;
    }
    const run = async (): Promise<Ack<unknown>> => {
      if (talk.underWay > MAX_MESSAGES_UNDER_WAY) {
        throw overLimit("messagesPerSecond", "wait for the answers to earlier messages", 1000);
      }
      if (packet.length > 3) throw malformed(`"${event}" takes one message and a callback`);
      return { ok: true, value: await answers[event](talk, packet[1]) };
    };
    talk.underWay += 1;
    run()
      .finally(() => {
        talk.underWay -= 1;
      })
      .catch((error: unknown) => {
        const known = toFederatedError(error);
        if (known.code === "INTERNAL") logger.error({ event, error }, "a message failed");
        return refused(known);
      })
      .then(reply)
      .catch((error: unknown) => logger.error({ event, error }, "an answer failed"));
  }

  // What arrives is typed by whoever sent it, so nothing is believed of it before it is checked.
  const answers: Readonly<Record<EventName, (talk: Talk, message: unknown) => Promise<unknown>>> = {
    checkin: async ({ socket, desk }, message) => {
      const { taskId, protocolVersion } = checkCheckIn(message);
      const { data } = socket;
      const { clientId } = data;
      // Before it is heard: a place that is given at once must find its way.
      if (!data.offers.includes(taskId)) data.offers = data.offers.concat(taskId);
      const reply = await desk
        .checkIn(clientId, taskId, protocolVersion)
        .catch((error: unknown) => {
          withdraw(socket, taskId);
          throw error;
        });
      await socket.join(watchersOf(taskId));
      return reply;
    },
    decline: async ({ socket, desk }, message) => {
      await desk.decline(socket.data.clientId, checkDecline(message).roundId);
      return null;
    },
    leave: async ({ socket, desk }, message) => {
      const { taskId } = checkLeave(message);
      const { clientId } = socket.data;
      withdraw(socket, taskId);
      const other = ownOf(clientId).findLast(({ data }) => data.offers.includes(taskId));
      if (other === undefined) {
        await desk.leave(clientId, taskId);
        return null;
      }
      // The client stays: what this connection had of it is the other one's now.
      const { assignment } = await desk.checkIn(clientId, taskId, PROTOCOL_VERSION);
      if (assignment !== undefined) other.emit("round:assigned", assignment);
      return null;
    },
    watch: async ({ socket, desk }, message) => {
      const { taskId, protocolVersion } = checkWatch(message);
      const brief = await desk.watch(taskId, protocolVersion);
      await socket.join(watchersOf(taskId));
      return brief;
    },
  };

  function withdraw({ data }: Socket, taskId: TaskId): void {
    data.offers = data.offers.filter((offered) => offered !== taskId);
  }

  /** Ends the connection with its credential; the client comes again with a newer one. */
  function endAt(socket: Socket, validUntil: Instant): void {
    const look = () => {
      const leftMs = validUntil - clock.now();
      if (leftMs <= 0) socket.disconnect(true);
      else timer = clock.after(leftMs, look);
    };
    let timer = clock.after(0, look);
    socket.on("disconnect", () => timer.cancel());
  }

  return {
    gateway,
    hasOffered: (clientId, taskId) =>
      ownOf(clientId).some(({ data }) => data.offers.includes(taskId)),
    attach,
    close: () => {
      closed = true;
      io.disconnectSockets(true);
      engine.close();
    },
  };
}

/**
 * Messages of one connection that may wait for their answers: enough for a client that checks in for
 * many tasks at once, too few to fill an engine's mailbox.
 */
const MAX_MESSAGES_UNDER_WAY = 32;

/** About 5 MB of short answers, and ten times what a burst within the default `messagesPerSecond` can ask for. */
const MAX_MESSAGES_UNREAD = 10_000;

/** More than 32 answers about models of a thousand tensors, which have about 100 KB each. */
const MAX_BYTES_UNREAD = 8_388_608;

/** An honest client sends one, and waits for its answer. */
const MAX_EARLY_FRAMES = 16;

/** A connection that goes on for so many seconds' worth of messages after being told to wait is cut. */
const DEAF_SECONDS = 100;

const NO_OFFERS: readonly TaskId[] = [];

const UNREAD = { messages: MAX_MESSAGES_UNREAD, bytes: MAX_BYTES_UNREAD };

const EVENTS: ReadonlySet<string> = new Set<EventName>(["checkin", "decline", "leave", "watch"]);

/** @throws FederatedError MALFORMED_MESSAGE */
function eventOf([name]: readonly unknown[]): EventName {
  const event = String(name);
  if (EVENTS.has(event)) return event as EventName;
  throw malformed(`unknown event ${JSON.stringify(event.slice(0, 40))}`);
}

const checkAuth = checker("handshake", HandshakeAuthSchema);
const checkCheckIn = checker("checkin", CheckInSchema);
const checkDecline = checker("decline", DeclineSchema);
const checkLeave = checker("leave", LeaveSchema);
const checkWatch = checker("watch", WatchSchema);

/** A function that gives the message its type, or throws MALFORMED_MESSAGE with every fault. */
function checker<Schema extends TSchema>(event: string, schema: Schema) {
  const compiled = Compile(schema);
  return (message: unknown): Static<Schema> => {
    if (compiled.Check(message)) return message;
    const faults = [...compiled.Errors(message)]
      .slice(0, 5)
      .map((fault) => `${fault.instancePath || "/"} ${fault.message}`);
    throw malformed(`"${event}" is not valid: ${faults.join("; ")}`);
  };
}

const closing = () =>
  new FederatedError("UNAVAILABLE", "the coordinator is closing", { retryAfterMs: 5000 });

const malformed = (message: string) => new FederatedError("MALFORMED_MESSAGE", message);

/** socket.io carries `data` of a middleware's error to the client's `connect_error`. */
function handshakeError(error: unknown): Error {
  const known = toFederatedError(error);
  return Object.assign(new Error(known.code), { data: known.toPayload() });
}
