/**
 * The dashboard: a page of our own, which holds no data and asks the API for all it shows. So it needs no
 * token itself. Kept in memory: no request reads a disk, and no path in a request ever becomes one there.
 */

import type { IncomingHttpHeaders } from "node:http";

import { FederatedError } from "@tributary/protocol";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";

import { isUnchanged } from "../conditional.ts";
import { takesGzip, varyBy } from "../content-coding.ts";
import type { HttpDeps } from "../deps.ts";
import type { PageFile, PageFiles } from "../page-files.ts";
import { HASHED_FOLDER, INDEX, readPageFiles } from "../page-files.ts";

/** Where the page is; it is built for this path. */
export const DASHBOARD_PATH = "/dashboard";

/**
 * What the page may do: run its own scripts and styles and ask this coordinator, and nothing else. Nothing
 * inline, no `eval`, no other host, no frame around it.
 */
export const DASHBOARD_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "font-src 'none'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const YEAR_SECONDS = 31_536_000;

export function dashboardRoutes(app: FastifyInstance, { dashboardDirectory }: HttpDeps): void {
  if (dashboardDirectory === undefined) return;
  // It is no part of the API, so nothing of it is in the API's description.
  const schema = { hide: true };
  const files = onceItSucceeds(() => readPageFiles(dashboardDirectory));

  // Whoever opens the address that `tributary start` prints is a person, and wants to look.
  app.get("/", { schema }, async (request, reply) => {
    if (!wantsPage(request.headers)) throw new FederatedError("NOT_FOUND", "no such path");
    varyBy(reply, "accept");
    return reply.redirect(DASHBOARD_PATH, 302);
  });
  app.get(DASHBOARD_PATH, { schema }, async (request, reply) =>
    send(request, reply, fileAt(await files(), INDEX)),
  );
  app.get<{ Params: { "*": string } }>(
    `${DASHBOARD_PATH}/*`,
    { schema },
    async (request, reply) => {
      const all = await files();
      const path = request.params["*"];
      // Places within the page are paths of it, too: a person who opens one gets the page.
      const isPlace =
        path === "" || (wantsPage(request.headers) && !path.startsWith(HASHED_FOLDER));
      return send(request, reply, fileAt(all, isPlace && !all.has(path) ? INDEX : path));
    },
  );
}

function fileAt(files: PageFiles, path: string): PageFile {
  const file = files.get(path);
  if (file === undefined) throw new FederatedError("NOT_FOUND", "no such file of the dashboard");
  return file;
}

function send(request: FastifyRequest, reply: FastifyReply, file: PageFile): FastifyReply {
  const { plain, gzip, type, immutable } = file;
  const isCompressed = gzip !== undefined && takesGzip(request.headers);
  const { bytes, etag } = isCompressed ? gzip : plain;
  void reply.headers({
    "cache-control": immutable ? `public, max-age=${YEAR_SECONDS}, immutable` : "no-cache",
    "content-security-policy": DASHBOARD_POLICY,
    etag,
  });
  varyBy(reply, "accept-encoding");
  if (isUnchanged(request.headers, etag)) return reply.code(304).send();
  if (isCompressed) void reply.header("content-encoding", "gzip");
  return reply.type(type).send(bytes);
}

/** Browsers ask for pages by name; their scripts, and other programs, do not. */
const wantsPage = ({ accept }: IncomingHttpHeaders): boolean => /\btext\/html\b/.test(accept ?? "");

/** Asks again after a failure, and never after a success. Those who ask meanwhile share one asking. */
function onceItSucceeds<T>(ask: () => Promise<T>): () => Promise<T> {
  let asked: Promise<T> | undefined;
  return () =>
    (asked ??= ask().catch((error: unknown) => {
      asked = undefined;
      throw error;
    }));
}
