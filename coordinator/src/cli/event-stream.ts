/** Server-sent events (WHATWG HTML, 9.2) that survive lost connections: resumes after the last id. */

import { FederatedError, isFederatedError } from "@tributary/protocol";

export interface StreamEvent {
  readonly type: string;
  readonly data: string;
}

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
/** An event has about 1 KB; what has no end must not fill the memory. */
const MAX_EVENT_CHARACTERS = 2 ** 20;

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

interface Parsed {
  readonly id?: string;
  readonly event?: StreamEvent;
}

async function* parseEvents(response: Response): AsyncGenerator<Parsed> {
  let id: string | undefined;
  let type = "message";
  let data: string[] = [];
  let characters = 0;
  for await (const line of lines(response)) {
    if (line === "") {
      const event = data.length === 0 ? undefined : { type, data: data.join("\n") };
      yield { ...(id === undefined ? {} : { id }), ...(event === undefined ? {} : { event }) };
      type = "message";
      data = [];
      characters = 0;
      continue;
    }
    characters += line.length;
    if (characters > MAX_EVENT_CHARACTERS) throw endless();
    const [, field = "", value = ""] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
    if (field === "id") id = value;
    else if (field === "event") type = value;
    else if (field === "data") data.push(value);
  }
}

/** Lines without their ends. What follows the last end is no whole line, and is dropped. */
async function* lines({ body }: Response): AsyncGenerator<string> {
  if (body === null) return;
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of body as unknown as AsyncIterable<Uint8Array>) {
    rest += decoder.decode(chunk, { stream: true });
    // A carriage return at the end may be half of an end of line.
    const whole = rest.split(/\r\n|\n|\r(?!$)/);
    rest = whole.pop() ?? "";
    if (rest.length > MAX_EVENT_CHARACTERS) throw endless();
    yield* whole;
  }
}

const endless = () =>
  new FederatedError(
    "MALFORMED_MESSAGE",
    `the stream of events has one of more than ${MAX_EVENT_CHARACTERS} characters; is it a coordinator's?`,
  );
