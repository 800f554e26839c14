/** Server-sent events (WHATWG HTML, 9.2) that survive lost connections: resumes after the last id. */

import type { StreamEvent, StreamMessage } from "@tributary/protocol";
import { createEventStreamParser, isFederatedError } from "@tributary/protocol";

export type StreamSignal =
  /** Connected; `resumed` when nothing was missed since the last event. */
  | { readonly kind: "open"; readonly resumed: boolean }
  | { readonly kind: "event"; readonly event: StreamEvent }
  /** The connection is lost; the next attempt is in `retryInMs`. */
  | { readonly kind: "lost"; readonly retryInMs: number };

export interface EventStreamDeps {
  /** Opens the stream; rejects with UNAVAILABLE where it may be tried again. */
  readonly open: (headers: Readonly<Record<string, string>>) => Promise<Response>;
  readonly sleep: (ms: number) => Promise<void>;
  /** In [0, 1). */
  readonly random: () => number;
}

const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 10_000;

/**
 * Events for ever, over as many connections as it takes.
 * @throws FederatedError when the first connection fails, or a later one for a reason that stays
 */
export async function* followEvents(deps: EventStreamDeps): AsyncGenerator<StreamSignal> {
  let lastId: string | undefined;
  let failures = 0;
  let connected = false;
  for (;;) {
    try {
      const headers = {
        accept: "text/event-stream",
        ...(lastId === undefined ? {} : { "last-event-id": lastId }),
      };
      const response = await deps.open(headers);
      yield { kind: "open", resumed: lastId !== undefined };
      connected = true;
      failures = 0;
      for await (const { id, event } of parseEvents(response)) {
        lastId = id ?? lastId;
        if (event !== undefined) yield { kind: "event", event };
      }
    } catch (error) {
      const passing = isFederatedError(error) ? error.retryable : error instanceof Error;
      if (!connected || !passing) throw error;
    }
    // Half to whole of the span, so that many watchers do not come back at once.
    const span = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(failures, 10));
    const retryInMs = Math.round(span * (0.5 + deps.random() / 2));
    failures += 1;
    yield { kind: "lost", retryInMs };
    await deps.sleep(retryInMs);
  }
}

async function* parseEvents({ body }: Response): AsyncGenerator<StreamMessage> {
  if (body === null) return;
  const parser = createEventStreamParser();
  for await (const chunk of body as unknown as AsyncIterable<Uint8Array>) yield* parser.push(chunk);
}
