/** Ended rounds of a task as columns, thousands in one answer, made in steps that hold nothing else up. */

import { setImmediate as otherTurns } from "node:timers/promises";
import { promisify } from "node:util";
import { gzip } from "node:zlib";

import type { TaskId } from "@tributary/protocol";
import { routes } from "@tributary/protocol";
import { TaskHistorySchema } from "@tributary/protocol/schema";
import type { FastifyInstance } from "fastify";
import Type from "typebox";

import type { MonitoringView } from "../../events/monitoring-view.ts";
import { createMailbox } from "../../round/mailbox.ts";
import { requireReader } from "../authenticate.ts";
import { takesGzip, varyBy } from "../content-coding.ts";
import type { HttpDeps } from "../deps.ts";
import { createHistoryColumns } from "../history-columns.ts";
import { createViews } from "../views.ts";
import { jsonAnswer, problems, readerSecurity, TaskParams } from "./schemas.ts";

const MAX_ROUNDS = 10_000;
/** Read and parsed at one go: 2 ms or so. */
const STEP_ROUNDS = 100;
/** Below it compressing saves no packet. */
const MIN_GZIP_BYTES = 1400;

const HistoryQuery = Type.Object(
  {
    after: Type.Optional(
      Type.Integer({ minimum: 0, default: 0, description: "Only rounds numbered above" }),
    ),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_ROUNDS, default: MAX_ROUNDS })),
  },
  { additionalProperties: false },
);
interface HistoryQuery {
  readonly after?: number;
  readonly limit?: number;
}

const compress = promisify(gzip);

export function historyRoutes(app: FastifyInstance, deps: HttpDeps): void {
  const { tasks, authenticator } = deps;
  const viewOf = createViews(deps);
  // One is made at a time: however many ask, they take every other turn of the event loop and not more.
  const mailbox = createMailbox();

  app.get<{ Params: { taskId: TaskId }; Querystring: HistoryQuery }>(
    routes.history.pattern,
    {
      onRequest: requireReader(authenticator),
      schema: {
        summary:
          "Ended rounds as columns, oldest first, for charts; under privacy each shows what its round does",
        tags: ["rounds"],
        security: readerSecurity,
        params: TaskParams,
        querystring: HistoryQuery,
        response: {
          200: jsonAnswer("Columns of equal length; gzipped where wanted", TaskHistorySchema),
          ...problems("UNAUTHENTICATED", "TASK_NOT_FOUND"),
        },
      },
    },
    async (request, reply) => {
      const view = await viewOf(request);
      const { taskId } = request.params;
      const { after = 0, limit = MAX_ROUNDS } = request.query;
      const text = await mailbox.post(async () =>
        // Whoever has gone while waiting costs nothing.
        reply.raw.destroyed ? "" : writeHistory(tasks, taskId, { after, limit }, view),
      );
      varyBy(reply, "accept-encoding");
      void reply.type("application/json; charset=utf-8");
      const bytes = Buffer.from(text);
      if (bytes.length < MIN_GZIP_BYTES || !takesGzip(request.headers)) return reply.send(bytes);
      return reply.header("content-encoding", "gzip").send(await compress(bytes));
    },
  );
}

/** As JSON. Written column by column, since all at once would take tens of milliseconds. */
async function writeHistory(
  tasks: HttpDeps["tasks"],
  taskId: TaskId,
  { after, limit }: Required<HistoryQuery>,
  view: MonitoringView,
): Promise<string> {
  const history = createHistoryColumns();
  let last = after;
  let isMore = true;
  while (isMore && history.length < limit) {
    const wanted = Math.min(STEP_ROUNDS, limit - history.length);
    // One more than is wanted, to know whether there are more.
    const rounds = await tasks.endedRounds(taskId, { after: last, limit: wanted + 1 });
    isMore = rounds.length > wanted;
    for (const round of rounds.slice(0, wanted)) {
      history.add(view.round(round));
      last = round.roundNumber;
    }
    await otherTurns();
  }
  const members = [`"taskId":${JSON.stringify(taskId)}`];
  for (const [name, cells] of history.columns()) {
    members.push(`"${name}":${JSON.stringify(cells)}`);
    await otherTurns();
  }
  if (isMore) members.push(`"next":${last}`);
  return `{${members.join()}}`;
}
