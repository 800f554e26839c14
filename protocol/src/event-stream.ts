/** Server-sent events as text (WHATWG HTML, 9.2.6): bytes in, messages out, however they were cut. */

import { FederatedError } from "./errors.ts";

export interface StreamEvent {
  /** `message` where the sender named none. */
  readonly type: string;
  readonly data: string;
}

/** What an empty line ends: an event, an id alone (a heartbeat that moves the reader on), or neither. */
export interface StreamMessage {
  /** The last id so far; undefined while none was sent. */
  readonly id?: string;
  readonly event?: StreamEvent;
}

export interface EventStreamParser {
  /**
   * Takes the next bytes and answers with what they complete. What follows the last empty line is kept, and
   * is lost with the parser: half an event is none.
   * @throws FederatedError MALFORMED_MESSAGE for an event that does not end
   */
  push(bytes: Uint8Array): StreamMessage[];
}

/** An event has about 1 KB; what has no end must not fill the memory. */
const MAX_EVENT_CHARACTERS = 2 ** 20;

/** A parser for one connection; the next connection needs another. */
export function createEventStreamParser(): EventStreamParser {
  const decoder = new TextDecoder();
  let rest = "";
  let id: string | undefined;
  let type = "message";
  let data: string[] = [];
  let characters = 0;

  function take(line: string): StreamMessage | undefined {
    if (line === "") {
      const event = data.length === 0 ? undefined : { type, data: data.join("\n") };
      type = "message";
      data = [];
      characters = 0;
      return { ...(id === undefined ? {} : { id }), ...(event === undefined ? {} : { event }) };
    }
    characters += line.length;
    if (characters > MAX_EVENT_CHARACTERS) throw endless();
    const [, field = "", value = ""] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
    if (field === "id") id = value;
    else if (field === "event") type = value;
    else if (field === "data") data.push(value);
    return undefined;
  }

  return {
    push: (bytes) => {
      rest += decoder.decode(bytes, { stream: true });
      // A carriage return at the end may be half of an end of line.
      const whole = rest.split(/\r\n|\n|\r(?!$)/);
      rest = whole.pop() ?? "";
      if (rest.length > MAX_EVENT_CHARACTERS) throw endless();
      return whole.map(take).filter((message) => message !== undefined);
    },
  };
}

const endless = () =>
  new FederatedError(
    "MALFORMED_MESSAGE",
    `the stream of events has one of more than ${MAX_EVENT_CHARACTERS} characters; is it a coordinator's?`,
  );
