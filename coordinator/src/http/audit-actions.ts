/** Every change that is asked for by API enters the audit log, as soon as a route has it and nobody can miss it. */

import type { FastifyInstance, FastifyRequest } from "fastify";

import type { HttpDeps } from "./deps.ts";
import { refusalOf } from "./problem.ts";
import { assignmentSecurity, clientSecurity } from "./routes/schemas.ts";

const READING: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);

/**
 * Two entries for each change: `admin:requested` on disk before anything is done, `admin:answered` before the
 * answer is sent. So a change that was done is in the log even if the process dies while doing it, and a
 * request that has no answer there was cut off. Whoever is not let in, or sends what is no request, leaves
 * nothing but a count in the metrics: a stranger must not be able to make the log grow.
 *
 * It goes by exclusion, so that a route that is added later cannot be forgotten.
 */
export function auditActions(
  app: FastifyInstance,
  { audit, metrics }: Pick<HttpDeps, "audit" | "metrics">,
): void {
  const open = new WeakMap<FastifyRequest, number>();

  // After the token and the schema, before the route.
  app.addHook("preHandler", async (request) => {
    if (!isAction(request)) return;
    const { number } = await audit.append({
      kind: "admin:requested",
      actor: "operator",
      facts: {
        action: `${request.method} ${request.routeOptions.url ?? ""}`,
        ...(request.params as Readonly<Record<string, string>>),
      },
    });
    open.set(request, number);
  });

  app.addHook("onSend", async (request) => {
    const number = open.get(request);
    if (number === undefined) {
      const code = refusalOf(request);
      if (isAction(request) && (code === "UNAUTHENTICATED" || code === "FORBIDDEN")) {
        metrics.actionRefused(code);
      }
      return;
    }
    // If this fails, the failure is answered: that answer must get out.
    open.delete(request);
    await audit.append({
      kind: "admin:answered",
      actor: "operator",
      facts: { request: number, outcome: refusalOf(request) ?? "ok" },
    });
  });
}

/** What clients take part with: it is counted in their round's entry, and is no change of anybody's. */
const OF_CLIENTS: ReadonlySet<unknown> = new Set([assignmentSecurity, clientSecurity]);

function isAction({ method, routeOptions: { schema } }: FastifyRequest): boolean {
  const { security } = (schema ?? {}) as { readonly security?: unknown };
  return !READING.has(method) && !OF_CLIENTS.has(security);
}
