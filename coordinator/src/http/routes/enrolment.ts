/** Enrolment tokens: issued and revoked by operators, listed for viewers too. */

import type { EnrolmentTokenRequest } from "@tributary/protocol";
import {
  ENROLMENT_LABEL_PATTERN,
  ENROLMENT_TOKEN_ID_PATTERN,
  MAX_ENROLMENT_SPAN_MS,
  MAX_ENROLMENT_USES,
  routes,
} from "@tributary/protocol";
import {
  EnrolmentTokenPageSchema,
  EnrolmentTokenSchema,
  IssuedEnrolmentTokenSchema,
} from "@tributary/protocol/schema";
import type { FastifyInstance } from "fastify";
import Type from "typebox";

import { requireAdmin, requireViewer } from "../authenticate.ts";
import type { HttpDeps } from "../deps.ts";
import {
  adminSecurity,
  jsonAnswer,
  PageQuery,
  pageOf,
  problems,
  viewerSecurity,
} from "./schemas.ts";

const IssueBody = Type.Object(
  {
    uses: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: MAX_ENROLMENT_USES,
        default: 1,
        description: "Clients that it lets in, at most",
      }),
    ),
    expiresInMs: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: MAX_ENROLMENT_SPAN_MS,
        description: "Seven days when absent; enrolled clients stay",
      }),
    ),
    label: Type.Optional(Type.String({ pattern: ENROLMENT_LABEL_PATTERN })),
  },
  { additionalProperties: false },
);
const TokenParams = Type.Object({
  tokenId: Type.String({ pattern: ENROLMENT_TOKEN_ID_PATTERN }),
});

export function enrolmentRoutes(app: FastifyInstance, deps: HttpDeps): void {
  const { enrolment, authenticator } = deps;
  const tags = ["clients"];

  app.get<{ Querystring: PageQuery }>(
    routes.enrolmentTokens.pattern,
    {
      onRequest: requireViewer(authenticator),
      schema: {
        summary:
          "Enrolment tokens, newest first: what they are for and how far used, never a token",
        tags,
        security: viewerSecurity,
        querystring: PageQuery,
        response: {
          200: jsonAnswer("One page", EnrolmentTokenPageSchema),
          ...problems("UNAUTHENTICATED", "FORBIDDEN"),
        },
      },
    },
    ({ query }) => enrolment.list(pageOf(query)),
  );

  app.post<{ Body: EnrolmentTokenRequest }>(
    routes.enrolmentTokens.pattern,
    {
      onRequest: requireAdmin(authenticator),
      schema: {
        summary:
          "Issue a token that lets new clients in; it is shown in this answer and never again",
        tags,
        security: adminSecurity,
        body: IssueBody,
        response: {
          201: jsonAnswer("The token", IssuedEnrolmentTokenSchema),
          ...problems("UNAUTHENTICATED", "FORBIDDEN", "CONFIG_INVALID", "PAYLOAD_TOO_LARGE"),
        },
      },
    },
    async ({ body }, reply) => reply.code(201).send(await enrolment.create(body)),
  );

  app.delete<{ Params: { tokenId: string } }>(
    routes.enrolmentToken.pattern,
    {
      onRequest: requireAdmin(authenticator),
      schema: {
        summary: "Revoke a token: it lets nobody in, and who came by it must leave and enrol anew",
        tags,
        security: adminSecurity,
        params: TokenParams,
        response: {
          200: jsonAnswer("The token as it is now", EnrolmentTokenSchema),
          ...problems("UNAUTHENTICATED", "FORBIDDEN", "NOT_FOUND"),
        },
      },
    },
    ({ params }) => enrolment.revoke(params.tokenId),
  );
}
