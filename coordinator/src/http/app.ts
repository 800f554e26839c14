/** The HTTP side of the coordinator: bytes of models and updates, monitoring, steering. */

import type * as http from "node:http";

import { FederatedError } from "@tributary/protocol";
import type { FastifyInstance } from "fastify";
import { fastify } from "fastify";

import type { Edge } from "../ports.ts";
import { createAdmission } from "./admission.ts";
import { closeAnswersInLine } from "./answers-in-line.ts";
import { auditActions } from "./audit-actions.ts";
import { clientFault } from "./client-error.ts";
import { closeInBoundedTime } from "./closing.ts";
import { letOriginsIn } from "./cors.ts";
import type { HttpDeps } from "./deps.ts";
import { limitBodies } from "./limit-bodies.ts";
import { connectionOptions, limitConnections } from "./limit-connections.ts";
import { faultOfUnreadable, limitRequests } from "./limit-requests.ts";
import { letFinish } from "./linger.ts";
import { describeApi, openapiRoutes } from "./openapi.ts";
import { sendProblem, setProblemHandlers } from "./problem.ts";
import { auditRoutes } from "./routes/audit.ts";
import { backupRoutes } from "./routes/backups.ts";
import { checkInRoutes } from "./routes/check-ins.ts";
import { checkpointRoutes } from "./routes/checkpoints.ts";
import { dashboardRoutes } from "./routes/dashboard.ts";
import { enrolmentRoutes } from "./routes/enrolment.ts";
import { eventRoutes } from "./routes/events.ts";
import { healthRoutes } from "./routes/health.ts";
import { historyRoutes } from "./routes/history.ts";
import { keyRoutes } from "./routes/keys.ts";
import { metricsRoutes } from "./routes/metrics.ts";
import { modelRoutes } from "./routes/models.ts";
import { privacyRoutes } from "./routes/privacy.ts";
import { roundRoutes } from "./routes/rounds.ts";
import { taskRoutes } from "./routes/tasks.ts";
import { updateRoutes } from "./routes/updates.ts";
import { compileSerializer, compileValidator } from "./validate.ts";
import { RETRY_AFTER_MS } from "./within.ts";

export type { HttpDeps, HttpLimits, HttpMetrics } from "./deps.ts";

/** The longest id or digest has 79 characters. */
const MAX_PARAM_LENGTH = 100;
/** A request may wait for its turn, then send its body; what takes longer still is not honest. */
const requestTimeoutMs = (uploadTimeoutMs: number) => 2 * uploadTimeoutMs + 30_000;

/** Everything but listening: `app.listen()` does that, and `app.server` takes the sockets too. */
export async function createHttpApp(deps: HttpDeps): Promise<FastifyInstance> {
  const { edge, limits, logger } = deps;
  const safety = safetyHeaders(edge);
  const app = fastify({
    logger: false,
    bodyLimit: limits.maxBodyBytes,
    requestTimeout: requestTimeoutMs(limits.uploadTimeoutMs),
    // Of whatever kind: a connection on which nothing has moved for so long has nobody at its end.
    connectionTimeout: requestTimeoutMs(limits.uploadTimeoutMs),
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    return503OnClosing: false,
    ...serverOptions(deps),
    clientErrorHandler: ({ code }, socket) => edge.refuse(socket, clientFault(code)),
    frameworkErrors: (error, request, reply) => {
      void reply.headers(safety);
      void sendProblem(request, reply, faultOfUnreadable(error, request, deps), logger);
    },
  });
  app.setValidatorCompiler(compileValidator);
  app.setSerializerCompiler(compileSerializer);
  setProblemHandlers(app, logger);

  closeAnswersInLine(app.server);
  // Node would refuse an `Expect` that it does not know by itself; it may as well be passed over.
  app.server.on("checkExpectation", (request, response) => {
    app.server.emit("request", request, response);
  });
  app.addHook("onRequest", async (_request, reply) => void reply.headers(safety));
  await letOriginsIn(app, edge.allowedOrigins);
  const admission = createAdmission({
    concurrent: limits.concurrentUploads,
    queued: limits.queuedUploads,
    memoryBytes: limits.uploadMemoryBytes,
    retryAfterMs: RETRY_AFTER_MS,
  });
  limitConnections(app, deps);
  limitRequests(app, deps);
  app.addHook("onRequest", async ({ raw }) => {
    if (raw.httpVersion === "1.1" && raw.headers.host === undefined) {
      throw new FederatedError("MALFORMED_MESSAGE", "an HTTP/1.1 request names its Host");
    }
    const fault = edge.hostFault(raw);
    if (fault !== undefined) throw fault;
  });
  limitBodies(app, deps, admission);
  // Whatever is answered before its body was read to the end.
  app.addHook("onSend", async (request) => letFinish(request.raw));
  closeInBoundedTime(app);
  auditActions(app, deps);

  await describeApi(app, deps);
  taskRoutes(app, deps);
  roundRoutes(app, deps);
  checkInRoutes(app, deps);
  historyRoutes(app, deps);
  modelRoutes(app, deps);
  checkpointRoutes(app, deps);
  keyRoutes(app, deps);
  await updateRoutes(app, deps, admission);
  privacyRoutes(app, deps);
  enrolmentRoutes(app, deps);
  eventRoutes(app, deps);
  auditRoutes(app, deps);
  backupRoutes(app, deps);
  healthRoutes(app, deps);
  metricsRoutes(app, deps);
  dashboardRoutes(app, deps);
  openapiRoutes(app, deps);
  await app.ready();
  return app;
}

/** What node's own server is told. The type of fastify's instance is the plain server's: nothing here needs more. */
function serverOptions({ tls, limits }: HttpDeps): { readonly http: http.ServerOptions } {
  // Node would refuse a request without Host by itself, without a word and without our headers.
  const options = { requireHostHeader: false, ...connectionOptions(limits.headersTimeoutMs) };
  if (tls === undefined) return { http: options };
  // Node's own two minutes would let silent connections pile up.
  const https = { ...options, ...tls, handshakeTimeout: limits.headersTimeoutMs };
  return { https } as unknown as { readonly http: http.ServerOptions };
}

/** Headers of every answer; a route that may be cached says so itself. */
const safetyHeaders = ({ headers }: Edge) => ({ ...headers, "cache-control": "no-store" });
