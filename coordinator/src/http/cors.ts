/** Web pages of other origins: closed by default, open to those that the configuration names. */

import cors from "@fastify/cors";
import { CLIENT_KEY_HEADER } from "@tributary/protocol";
import type { FastifyInstance } from "fastify";

/** Answers carry what a client needs beyond the few headers that pages may always read. */
const EXPOSED = [
  "accept-ranges",
  "content-location",
  "content-range",
  "etag",
  "location",
  "retry-after",
  "www-authenticate",
];
const ASKED_WITH = [
  CLIENT_KEY_HEADER,
  "authorization",
  "content-digest",
  "content-encoding",
  "content-type",
  "if-match",
  "if-none-match",
  "if-range",
  "last-event-id",
  "range",
];
/** A preflight for every upload would double its round trips; longer than two hours no browser keeps it. */
const PREFLIGHT_SECONDS = 600;

export async function letOriginsIn(
  app: FastifyInstance,
  allowedOrigins: readonly string[],
): Promise<void> {
  if (allowedOrigins.length === 0) return;
  await app.register(cors, {
    origin: [...allowedOrigins],
    methods: ["GET", "HEAD", "POST", "PUT", "DELETE"],
    allowedHeaders: ASKED_WITH,
    exposedHeaders: EXPOSED,
    // Tokens travel in a header that the page sets itself. Cookies would be sent along by any page.
    credentials: false,
    maxAge: PREFLIGHT_SECONDS,
    // The plugin's own refusal would be plain text, and no problem.
    strictPreflight: false,
    // Answered by its route, after the limits have seen it.
    preflightContinue: true,
  });
}
