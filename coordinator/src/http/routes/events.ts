/** Live monitoring events as Server-Sent Events (WHATWG HTML, section 9.2), resumable by id. */

import type { OutgoingHttpHeaders, ServerResponse } from "node:http";

import type { MonitoringEvent, MonitoringEventType, TaskId } from "@tributary/protocol";
import { FederatedError, routes } from "@tributary/protocol";
import {
  MONITORING_EVENT_TYPES,
  MonitoringEventSchema,
  TaskIdSchema,
} from "@tributary/protocol/schema";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import Type from "typebox";

import type { MonitoringView } from "../../events/monitoring-view.ts";
import { overLimit } from "../../limits/limit.ts";
import { createPlaces } from "../../limits/places.ts";
import { bearerToken, requireReader } from "../authenticate.ts";
import type { HttpDeps } from "../deps.ts";
import { watchPace } from "../pace.ts";
import { asFederatedError } from "../problem.ts";
import { createProjection } from "../project.ts";
import { createViews } from "../views.ts";
import { problems, readerSecurity } from "./schemas.ts";

const EventId = Type.String({ pattern: "^[0-9]{1,16}$" });

const EventsQuery = Type.Object(
  {
    taskId: Type.Optional(TaskIdSchema),
    types: Type.Optional(
      Type.String({ description: `Comma-separated, of ${MONITORING_EVENT_TYPES.join(", ")}` }),
    ),
    lastEventId: Type.Optional(EventId),
  },
  { additionalProperties: false },
);
interface EventsQuery {
  readonly taskId?: TaskId;
  readonly types?: string;
  /** For a first connection; `Last-Event-ID` of a later one goes before it. */
  readonly lastEventId?: string;
}

const DEFAULT_BUFFER_BYTES = 2 ** 20;
/** What is handed to the system at once of what a reader has missed. */
const PIECE_BYTES = 65_536;
/** What a reader waits before it connects again. */
const RECONNECT_MS = 2000;

export function eventRoutes(app: FastifyInstance, deps: HttpDeps): void {
  const { events, tasks, authenticator, limits, metrics } = deps;
  /** How to end each open stream. */
  const streams = new Set<() => void>();
  /** Clients must not take the places of whoever watches over them. */
  const places = createPlaces(limits.sseStreams);
  const viewOf = createViews(deps);
  const encode = createEncoder();

  app.addHook("preClose", async () => {
    for (const end of streams) end();
  });

  app.get<{ Querystring: EventsQuery }>(
    routes.events.pattern,
    {
      onRequest: requireReader(authenticator),
      exposeHeadRoute: false,
      schema: {
        summary:
          "Live events; `event: reset` first where some since `Last-Event-ID` are forgotten; of tasks under privacy, progress and counts for the operator only",
        tags: ["events"],
        security: readerSecurity,
        querystring: EventsQuery,
        headers: Type.Object({ "last-event-id": Type.Optional(EventId) }),
        response: {
          200: {
            description: "`event:` is the type, `data:` the event as JSON",
            content: { "text/event-stream": { schema: MonitoringEventSchema } },
          },
          ...problems("UNAUTHENTICATED", "TASK_NOT_FOUND", "RATE_LIMITED"),
        },
      },
    },
    async (request, reply) => {
      const { taskId, types, lastEventId } = request.query;
      const wanted = parseTypes(types);
      if (taskId !== undefined) await tasks.get(taskId);
      const token = bearerToken(request);
      const isViewer = await authenticator.viewer(token).then(
        () => true,
        () => false,
      );
      const leave = places.take(isViewer ? "viewers" : "clients");
      if (leave === undefined) {
        const message = `${limits.sseStreams} event streams are open, as many as there may be`;
        throw overLimit("sseStreams", message, 10_000);
      }
      const view = await viewOf(request);
      const textOf = (event: MonitoringEvent) =>
        (taskId === undefined || event.taskId === taskId) && wanted.has(event.type)
          ? encode(view, event)
          : undefined;
      const afterId = lastIdOf(request) ?? lastEventId;
      // A reader that left while its token was checked is not told of its end again.
      if (reply.raw.destroyed || request.raw.socket.destroyed) {
        leave();
        return;
      }
      reply.raw.once("close", leave);
      const mayStillRead = () => authenticator.reader(token);
      stream(openStream(reply), textOf, afterId, mayStillRead);
    },
  );

  function stream(
    response: ServerResponse,
    textOf: (event: MonitoringEvent) => string | undefined,
    afterId: string | undefined,
    mayStillRead: () => Promise<void>,
  ): void {
    const maxBytes = limits.sseBufferBytes ?? DEFAULT_BUFFER_BYTES;
    let seenId = afterId;
    /**
     * What was missed, and what comes before all of that is sent. Texts are shared by all streams, and handed
     * on as they are read: a reader that is far behind costs no more than any other.
     */
    let waiting: string[] = [];
    let isOpening = true;
    /** Of `waiting`, what came late: as much may wait as for a reader that has missed nothing. */
    let lateBytes = 0;
    /** A piece may be more than the limit; it counts only once it has been read. */
    let pieceBytes = 0;
    const pace = watchPace(
      { bytesPerSecond: limits.minDownloadBytesPerSecond, graceMs: limits.slowPeerGraceMs },
      () => {
        metrics.refused("minDownloadBytesPerSecond");
        response.destroy();
      },
    );
    const catchUp = () => {
      if (response.writableEnded || response.destroyed) return;
      const texts = waiting.values();
      let sent = 0;
      while (sent < waiting.length && !response.writableNeedDrain) {
        let piece = "";
        for (; sent < waiting.length && piece.length < PIECE_BYTES; sent++) {
          piece += texts.next().value ?? "";
        }
        pace.moved(piece.length);
        response.write(piece);
        pieceBytes = response.writableLength;
      }
      waiting = waiting.slice(sent);
      if (waiting.length > 0) return;
      lateBytes = 0;
      pace.stop();
    };
    response.on("drain", () => {
      pieceBytes = 0;
      catchUp();
    });
    const write = (text: string) => {
      if (response.writableEnded || response.destroyed) return;
      if (waiting.length > 0) {
        waiting.push(text);
        lateBytes += text.length;
      } else response.write(text);
      // A reader that does not read is cut off; it comes again with its last id.
      if (lateBytes > maxBytes || response.writableLength > maxBytes + pieceBytes) {
        response.destroy();
      }
    };
    const subscription = events.subscribe(
      (event) => {
        seenId = event.id;
        const text = textOf(event);
        if (text === undefined) return;
        if (isOpening) waiting.push(text);
        else write(text);
      },
      afterId === undefined ? {} : { afterId },
    );
    isOpening = false;
    const reset = subscription.complete ? "" : "event: reset\ndata: {}\n\n";
    response.write(`retry: ${RECONNECT_MS}\n\n${reset}`);
    catchUp();

    const heartbeat = setInterval(() => {
      // The id alone moves a reader on past events that it did not ask for.
      write(`: alive\n${seenId === undefined ? "" : `id: ${seenId}\n`}\n`);
      // A stream outlives many a credential; one that cannot be checked now may be good.
      mayStillRead().catch((error: unknown) => {
        if (!asFederatedError(error).retryable) end();
      });
    }, limits.sseHeartbeatMs);
    heartbeat.unref();
    const release = () => {
      clearInterval(heartbeat);
      pace.stop();
      subscription.unsubscribe();
      streams.delete(end);
    };
    const end = () => {
      release();
      response.end();
    };
    streams.add(end);
    // An error is always followed by `close`.
    response.once("close", release).on("error", release);
  }
}

/** Takes the response out of fastify's hands and sends its head. */
function openStream(reply: FastifyReply): ServerResponse {
  reply.hijack();
  const response = reply.raw;
  response.writeHead(200, {
    ...(reply.getHeaders() as OutgoingHttpHeaders),
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store",
    // Proxies that buffer would hold events back.
    "x-accel-buffering": "no",
  });
  return response;
}

const lastIdOf = ({ headers }: FastifyRequest): string | undefined => {
  const id = headers["last-event-id"];
  return typeof id === "string" && id !== "" ? id : undefined;
};

/** @throws FederatedError MALFORMED_MESSAGE */
function parseTypes(types: string | undefined): ReadonlySet<MonitoringEventType> {
  if (types === undefined) return new Set(MONITORING_EVENT_TYPES);
  const known = new Map<string, MonitoringEventType>(
    MONITORING_EVENT_TYPES.map((type) => [type, type]),
  );
  return new Set(
    types.split(",").map((name) => {
      const type = known.get(name);
      if (type !== undefined) return type;
      throw new FederatedError(
        "MALFORMED_MESSAGE",
        `no event type ${JSON.stringify(name.slice(0, 40))}; there are ${[...known.keys()].join(", ")}`,
      );
    }),
  );
}

/** An event as a view shows it, made once however many streams it goes to; undefined where it is not shown. */
function createEncoder() {
  const project = createProjection(MonitoringEventSchema);
  const made = new WeakMap<MonitoringView, WeakMap<MonitoringEvent, string>>();
  return (view: MonitoringView, event: MonitoringEvent): string | undefined => {
    const texts = made.get(view) ?? new WeakMap<MonitoringEvent, string>();
    made.set(view, texts);
    const known = texts.get(event);
    if (known !== undefined) return known;
    const shown = view.event(event);
    if (shown === undefined) return undefined;
    const data = JSON.stringify(project(shown));
    const text = `id: ${event.id}\nevent: ${event.type}\ndata: ${data}\n\n`;
    texts.set(event, text);
    return text;
  };
}
