/** JSON bodies: in turn with the uploads, in the same memory, and sent as fast as those must be. */

import { PassThrough } from "node:stream";
import { finished } from "node:stream/promises";

import { routes } from "@tributary/protocol";
import type { FastifyInstance } from "fastify";

import type { Admission } from "./admission.ts";
import type { HttpDeps } from "./deps.ts";
import { watchSender } from "./watch-sender.ts";
import { within } from "./within.ts";

/** A text is in memory as it came, as its value, and as what is decoded of it. */
const COPIES = 4;

export function limitBodies(
  app: FastifyInstance,
  { limits }: Pick<HttpDeps, "limits">,
  admission: Admission,
): void {
  let bodies = 0;
  app.addHook("preParsing", async (request, reply, payload) => {
    const { "content-length": announced, "transfer-encoding": chunked } = request.headers;
    // Updates have their own way in.
    if (request.routeOptions.url === routes.update.pattern) return payload;
    if (chunked === undefined && Number(announced ?? 0) === 0) return payload;

    bodies += 1;
    const limit = request.routeOptions.bodyLimit;
    const bytes = Math.min(limit, Number(announced ?? limit)) * COPIES;
    const { ending, release } = watchSender(request.raw);
    try {
      const turn = await within({ what: "a turn for the body", limits, ending }, () =>
        admission.enter(`body ${bodies}`, bytes, ending),
      );
      if (reply.raw.destroyed) turn();
      else reply.raw.once("close", turn);
    } catch (error) {
      release();
      throw error;
    }
    const body = new PassThrough();
    const sending = { what: "the body", limits, ending, sending: true };
    void within(sending, async (moved) => {
      payload.on("data", (chunk: Buffer) => moved(chunk.length));
      payload.pipe(body);
      const { signal } = ending;
      signal.addEventListener("abort", () => body.destroy(signal.reason as Error));
      await finished(body).catch(() => undefined);
    }).finally(release);
    return body;
  });
}
