/** The audit log as it is stored, for whoever wants to read or verify it. */

import { routes } from "@tributary/protocol";
import { AuditPageSchema } from "@tributary/protocol/schema";
import type { FastifyInstance } from "fastify";
import Type from "typebox";

import { requireViewer } from "../authenticate.ts";
import type { HttpDeps } from "../deps.ts";
import { viewerSecurity, jsonAnswer, problems } from "./schemas.ts";

/** A thousand entries are about 400 KB. */
const MOST = 1000;
const DEFAULT_PAGE = 100;

const AuditQuery = Type.Object(
  {
    after: Type.Optional(
      Type.Integer({ minimum: 0, description: "Only entries numbered above: `next` of a page" }),
    ),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: MOST, default: DEFAULT_PAGE })),
  },
  { additionalProperties: false },
);
interface AuditQuery {
  readonly after?: number;
  readonly limit?: number;
}

export function auditRoutes(app: FastifyInstance, { audit, authenticator }: HttpDeps): void {
  app.get<{ Querystring: AuditQuery }>(
    routes.audit.pattern,
    {
      onRequest: requireViewer(authenticator),
      schema: {
        summary: "The audit log, oldest first, with its head: number and hash of the newest entry",
        tags: ["audit"],
        security: viewerSecurity,
        querystring: AuditQuery,
        response: {
          200: jsonAnswer("One page", AuditPageSchema),
          ...problems("UNAUTHENTICATED", "FORBIDDEN"),
        },
      },
    },
    async ({ query: { after, limit = DEFAULT_PAGE } }) => {
      const items = await audit.list({ ...(after === undefined ? {} : { after }), limit });
      const last = items.at(-1);
      return {
        items,
        head: await audit.head(),
        ...(last !== undefined && items.length === limit ? { next: last.number } : {}),
      };
    },
  );
}
