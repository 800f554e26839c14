/** Bytes of model versions: by digest immutable and cacheable for ever, by number or `latest` revalidated. */

import type { Digest, ModelResource, ServingEncoding, TaskId } from "@tributary/protocol";
import { FederatedError, routes, SERVING_ENCODINGS } from "@tributary/protocol";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import Type from "typebox";

import { requireReader } from "../authenticate.ts";
import type { HttpDeps } from "../deps.ts";
import { byteRange, isUnchanged } from "../conditional.ts";
import { takesGzip, varyBy } from "../content-coding.ts";
import { pacedBody } from "../send-paced.ts";
import {
  bytesAnswer,
  DeltaParams,
  DigestParams,
  problems,
  readerSecurity,
  versionOf,
  VersionParams,
} from "./schemas.ts";

const YEAR_SECONDS = 31_536_000;

const EncodingQuery = Type.Object(
  {
    encoding: Type.Optional(
      Type.Enum([...SERVING_ENCODINGS], {
        description: "A copy for serving, where the task has such (`serving.encodings`)",
      }),
    ),
  },
  { additionalProperties: false },
);

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
    acceptsRanges = true,
  ): Promise<FastifyReply> {
    const etag = `"${digest}"`;
    const unchanged = isUnchanged(request.headers, etag);
    const frame = unchanged ? undefined : await models.checkpoint(digest);
    // Set only now: an error must not carry them.
    void reply.headers({ ...headers, etag, "accept-ranges": acceptsRanges ? "bytes" : "none" });
    if (frame === undefined) return reply.code(304).send();
    const range = acceptsRanges ? byteRange(request.headers, etag, frame.length) : undefined;
    const { start, end } = range ?? { start: 0, end: frame.length };
    if (range !== undefined) {
      void reply.code(206).header("content-range", `bytes ${start}-${end - 1}/${frame.length}`);
    }
    return sendBytes(request, reply, frame.subarray(start, end));
  }

  function sendBytes(request: FastifyRequest, reply: FastifyReply, body: Uint8Array): FastifyReply {
    // A view: the same memory serves every reader.
    const bytes = Buffer.from(body.buffer, body.byteOffset, body.length);
    void reply.type("application/octet-stream").header("content-length", bytes.length);
    if (request.method !== "GET") return reply.send(bytes);
    metrics.bytesSent(bytes.length);
    return reply.send(pacedBody(reply, bytes, deps));
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

  app.get<{ Params: { digest: Digest; base: Digest } }>(
    routes.checkpointFrom.pattern,
    {
      onRequest,
      schema: {
        summary: "A checkpoint for whoever has the one with digest `base`; immutable",
        tags,
        security: readerSecurity,
        params: DeltaParams,
        response: {
          ...answers,
          200: bytesAnswer(
            "What makes the checkpoint of the one with digest `base` (it begins with `TRCD`, and comes gzipped), " +
              "or the checkpoint frame itself (`TRCP`) where that is as good, or the reader takes no gzip",
          ),
          ...problems("UNAUTHENTICATED", "MODEL_NOT_FOUND", "CHECKPOINT_CORRUPT"),
        },
      },
    },
    async (request, reply) => {
      const { digest, base } = request.params;
      const headers = { "cache-control": `${scope}, max-age=${YEAR_SECONDS}, immutable` };
      const delta = takesGzip(request.headers) ? await models.delta(digest, base) : undefined;
      varyBy(reply, "Accept-Encoding");
      // No part of it: the rest might be of the other form.
      if (delta === undefined) return send(request, reply, digest, headers, false);
      const etag = `"${digest}-from-${base}"`;
      void reply.headers({ ...headers, etag, "accept-ranges": "none" });
      if (isUnchanged(request.headers, etag)) return reply.code(304).send();
      void reply.header("content-encoding", "gzip");
      return sendBytes(request, reply, delta);
    },
  );

  app.get<{
    Params: { taskId: TaskId; modelVersion: string };
    Querystring: { encoding?: ServingEncoding };
  }>(
    routes.checkpoint.pattern,
    {
      onRequest,
      schema: {
        summary:
          "A checkpoint frame by version or `latest`; `Content-Location` is the immutable one",
        tags,
        security: readerSecurity,
        params: VersionParams,
        querystring: EncodingQuery,
        response: {
          ...answers,
          ...problems("UNAUTHENTICATED", "TASK_NOT_FOUND", "MODEL_NOT_FOUND", "CHECKPOINT_CORRUPT"),
        },
      },
    },
    async (request, reply) => {
      const { taskId, modelVersion } = request.params;
      const version = await models.get(taskId, versionOf(modelVersion));
      const digest = digestOf(version, request.query.encoding);
      return send(request, reply, digest, {
        "cache-control": "no-cache",
        "content-location": routes.checkpointByDigest.path({ digest }),
      });
    },
  );
}

/** @throws FederatedError MODEL_NOT_FOUND where the version has no such copy */
function digestOf(model: ModelResource, encoding: ServingEncoding | undefined): Digest {
  const { digest } = encoding === undefined ? model : (model.copies?.[encoding] ?? {});
  if (digest !== undefined) return digest;
  throw new FederatedError(
    "MODEL_NOT_FOUND",
    `version ${model.modelVersion} of task "${model.taskId}" has no copy as ${encoding} (serving.encodings of the task)`,
  );
}
