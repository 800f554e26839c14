/** Bytes of model versions: by digest immutable and cacheable for ever, by number or `latest` revalidated. */

import type { Digest, TaskId } from "@tributary/protocol";
import { routes } from "@tributary/protocol";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";

import { requireReader } from "../authenticate.ts";
import type { HttpDeps } from "../deps.ts";
import { byteRange, isUnchanged } from "../conditional.ts";
import { pacedBody } from "../send-paced.ts";
import {
  bytesAnswer,
  DigestParams,
  problems,
  readerSecurity,
  versionOf,
  VersionParams,
} from "./schemas.ts";

const YEAR_SECONDS = 31_536_000;

export function checkpointRoutes(app: FastifyInstance, deps: HttpDeps): void {
  const { models, authenticator, metrics, readsAreProtected } = deps;
  const onRequest = requireReader(authenticator);
  const scope = readsAreProtected ? "private" : "public";
  const tags = ["models"];
  const answers = {
    200: bytesAnswer("The checkpoint frame; `ETag` is its SHA-256"),
    206: bytesAnswer("The part that `Range` asked for"),
    304: { description: "The copy that `If-None-Match` names is current" },
  };

  async function send(
    request: FastifyRequest,
    reply: FastifyReply,
    digest: Digest,
    headers: Readonly<Record<string, string>>,
  ): Promise<FastifyReply> {
    const etag = `"${digest}"`;
    const unchanged = isUnchanged(request.headers, etag);
    const frame = unchanged ? undefined : await models.checkpoint(digest);
    // Set only now: an error must not carry them.
    void reply.headers({ ...headers, etag, "accept-ranges": "bytes" });
    if (frame === undefined) return reply.code(304).send();
    const range = byteRange(request.headers, etag, frame.length);
    const { start, end } = range ?? { start: 0, end: frame.length };
    if (range !== undefined) {
      void reply.code(206).header("content-range", `bytes ${start}-${end - 1}/${frame.length}`);
    }
    if (request.method === "GET") metrics.bytesSent(end - start);
    // A view: the same memory serves every reader.
    const bytes = Buffer.from(frame.buffer, frame.byteOffset + start, end - start);
    void reply.type("application/octet-stream").header("content-length", bytes.length);
    return reply.send(request.method === "GET" ? pacedBody(reply, bytes, deps) : bytes);
  }

  app.get<{ Params: { digest: Digest } }>(
    routes.checkpointByDigest.pattern,
    {
      onRequest,
      schema: {
        summary: "A checkpoint frame by its digest; immutable",
        tags,
        security: readerSecurity,
        params: DigestParams,
        response: {
          ...answers,
          ...problems("UNAUTHENTICATED", "MODEL_NOT_FOUND", "CHECKPOINT_CORRUPT"),
        },
      },
    },
    async (request, reply) => {
      return send(request, reply, request.params.digest, {
        "cache-control": `${scope}, max-age=${YEAR_SECONDS}, immutable`,
      });
    },
  );

  app.get<{ Params: { taskId: TaskId; modelVersion: string } }>(
    routes.checkpoint.pattern,
    {
      onRequest,
      schema: {
        summary:
          "A checkpoint frame by version or `latest`; `Content-Location` is the immutable one",
        tags,
        security: readerSecurity,
        params: VersionParams,
        response: {
          ...answers,
          ...problems("UNAUTHENTICATED", "TASK_NOT_FOUND", "MODEL_NOT_FOUND", "CHECKPOINT_CORRUPT"),
        },
      },
    },
    async (request, reply) => {
      const { taskId, modelVersion } = request.params;
      const { digest } = await models.get(taskId, versionOf(modelVersion));
      return send(request, reply, digest, {
        "cache-control": "no-cache",
        "content-location": routes.checkpointByDigest.path({ digest }),
      });
    },
  );
}
