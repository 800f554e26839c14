/** Every fault as `application/problem+json` (RFC 9457), with a code of the protocol's one table. */

import type { ErrorCode } from "@tributary/protocol";
import { FederatedError, isFederatedError, toFederatedError } from "@tributary/protocol";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";

import type { Logger } from "../ports.ts";

const PROBLEM_TYPE = "application/problem+json";

const refusals = new WeakMap<FastifyRequest, ErrorCode>();
/** The code of the problem that answers the request; undefined where none does. */
export const refusalOf = (request: FastifyRequest): ErrorCode | undefined => refusals.get(request);

/** Answers with the fault; an unforeseen one is logged with its cause and shown without it. */
export function sendProblem(
  request: FastifyRequest,
  reply: FastifyReply,
  error: unknown,
  logger?: Logger,
): FastifyReply {
  const known = asFederatedError(error);
  refusals.set(request, known.code);
  if (known.code === "INTERNAL") {
    // The pattern and not the path: the log is no place for what a stranger wrote into a URL.
    const route = request.routeOptions.url ?? "unknown";
    logger?.error({ method: request.method, route, error }, "a request failed");
  }
  if (known.retryAfterMs !== undefined) {
    void reply.header("retry-after", Math.ceil(known.retryAfterMs / 1000));
  }
  if (known.code === "UNAUTHENTICATED") void reply.header("www-authenticate", "Bearer");
  return reply
    .code(known.status)
    .header("cache-control", "no-store")
    .type(PROBLEM_TYPE)
    .send(JSON.stringify(known.toProblem()));
}

export function setProblemHandlers(app: FastifyInstance, logger?: Logger): void {
  app.setErrorHandler((error, request, reply) => sendProblem(request, reply, error, logger));
  app.setNotFoundHandler((request, reply) =>
    sendProblem(request, reply, new FederatedError("NOT_FOUND", "no such method and path")),
  );
}

/** fastify's own refusals by their code; anything else that is not ours is INTERNAL. */
export function asFederatedError(error: unknown): FederatedError {
  if (isFederatedError(error)) return error;
  const { code, statusCode, message } = error as Partial<Record<string, unknown>>;
  if (code === "FST_ERR_CTP_BODY_TOO_LARGE") {
    return new FederatedError("PAYLOAD_TOO_LARGE", "the body is larger than this route takes");
  }
  if (code === "FST_ERR_CTP_INVALID_MEDIA_TYPE") {
    return new FederatedError("MEDIA_TYPE_UNSUPPORTED", "this route takes application/json");
  }
  if (typeof statusCode === "number" && statusCode >= 400 && statusCode < 500) {
    return new FederatedError("MALFORMED_MESSAGE", String(message), { cause: error });
  }
  return toFederatedError(error);
}
