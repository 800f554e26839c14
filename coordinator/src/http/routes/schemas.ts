/** Pieces that several routes describe themselves with. */

import type { ErrorCode } from "@tributary/protocol";
import { ERROR_TABLE } from "@tributary/protocol";
import {
  DigestSchema,
  ProblemSchema,
  RoundIdSchema,
  TaskIdSchema,
} from "@tributary/protocol/schema";
import type { TSchema } from "typebox";
import Type from "typebox";

export const TaskParams = Type.Object({ taskId: TaskIdSchema });
export const RoundParams = Type.Object({ roundId: RoundIdSchema });
export const DigestParams = Type.Object({ digest: DigestSchema });
export const DeltaParams = Type.Object({ digest: DigestSchema, base: DigestSchema });
export const VersionParams = Type.Object({
  taskId: TaskIdSchema,
  modelVersion: Type.String({
    pattern: "^(latest|0|[1-9][0-9]{0,9})$",
    description: "A number, or `latest`",
  }),
});

export const PageQuery = Type.Object(
  {
    before: Type.Optional(
      Type.Integer({ minimum: 0, description: "Only items numbered below: `next` of a page" }),
    ),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 200, default: 50 })),
  },
  { additionalProperties: false },
);
export interface PageQuery {
  readonly before?: number;
  readonly limit?: number;
}

const DEFAULT_PAGE = 50;

/** The query as the registries take it. */
export const pageOf = ({ before, limit }: PageQuery) => ({
  limit: limit ?? DEFAULT_PAGE,
  ...(before === undefined ? {} : { before }),
});

export const versionOf = (text: string): number | "latest" =>
  text === "latest" ? text : Number(text);

/** A body of bytes, which is checked by its route as it streams. */
export const Bytes = Type.Unsafe<unknown>(Type.String({ format: "binary" }));

export const bytesAnswer = (description: string) => ({
  description,
  content: { "application/octet-stream": { schema: Bytes } },
});

export const jsonAnswer = (description: string, schema: TSchema) => ({
  description,
  content: { "application/json": { schema } },
});

/** Answers for the codes that a route may refuse with, beside those that every route has. */
export function problems(...codes: readonly ErrorCode[]): Record<number, object> {
  const byStatus = new Map<number, ErrorCode[]>();
  const anywhere = ["MALFORMED_MESSAGE", "RATE_LIMITED", "INTERNAL", "UNAVAILABLE"] as const;
  for (const code of new Set<ErrorCode>([...codes, ...anywhere])) {
    const { status } = ERROR_TABLE[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return Object.fromEntries(
    [...byStatus].map(([status, names]) => [
      status,
      {
        description: names.join(", "),
        content: { "application/problem+json": { schema: ProblemSchema } },
      },
    ]),
  );
}

export const readerSecurity = [{ readerToken: [] }, {}];
export const viewerSecurity = [{ viewerToken: [] }, { adminToken: [] }];
export const adminSecurity = [{ adminToken: [] }];
export const assignmentSecurity = [{ assignmentToken: [] }];
/** The client key in its header; a token besides, where clients are asked for one. */
export const clientSecurity = [{ clientKey: [], clientToken: [] }, { clientKey: [] }];
