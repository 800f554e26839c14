/** Rates of requests and of wrong credentials, looked at before anything else of a request is. */

import { CLIENT_KEY_HEADER, FederatedError, isFederatedError, routes } from "@tributary/protocol";
import type { FastifyInstance, FastifyRequest } from "fastify";

import { limitOf } from "../limits/limit.ts";
import type { HttpDeps } from "./deps.ts";

/** Answered always: a flood must not make a supervisor restart what still works. They cost what a refusal does. */
const PROBES: ReadonlySet<string | undefined> = new Set([
  routes.livez.pattern,
  routes.readyz.pattern,
]);

export function limitRequests(
  app: FastifyInstance,
  { rates, peerAddress, metrics }: Pick<HttpDeps, "rates" | "peerAddress" | "metrics">,
): void {
  app.addHook("onRequest", async (request) => {
    if (PROBES.has(request.routeOptions.url)) return;
    const address = peerAddress(request.raw);
    rates.request(address);
    if (hasCredentials(request)) rates.credentials(address);
    // Before its body is read: nobody knows whose it is.
    if (request.is404) throw new FederatedError("NOT_FOUND", "no such method and path");
  });
  app.addHook("onError", async (request, _reply, error: Error) => {
    const limit = limitOf(error);
    if (limit !== undefined) metrics.refused(limit);
    if (hasCredentials(request) && wereWrong(error)) {
      rates.credentialsWereWrong(peerAddress(request.raw));
    }
  });
}

/** A path that cannot be read is refused before any hook runs; whoever asks for it pays as for any other. */
export function faultOfUnreadable(
  error: unknown,
  request: FastifyRequest,
  { rates, peerAddress, metrics }: Pick<HttpDeps, "rates" | "peerAddress" | "metrics">,
): unknown {
  try {
    rates.request(peerAddress(request.raw));
    return error;
  } catch (refusal) {
    const limit = limitOf(refusal);
    if (limit !== undefined) metrics.refused(limit);
    return refusal;
  }
}

const hasCredentials = ({ headers }: FastifyRequest): boolean =>
  headers.authorization !== undefined || headers[CLIENT_KEY_HEADER] !== undefined;

/** Without credentials nobody guesses, so only those that were given can be wrong. */
const wereWrong = (error: unknown): boolean =>
  isFederatedError(error) && (error.code === "UNAUTHENTICATED" || error.code === "FORBIDDEN");
