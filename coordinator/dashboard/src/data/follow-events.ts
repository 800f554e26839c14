/**
 * The live events of the coordinator over as many connections as it takes. `EventSource` sends no
 * `Authorization`, and a token has no place in a URL, so the stream is read from `fetch`.
 */

import type { FederatedError as Fault, MonitoringEvent } from "@tributary/protocol";
import { createEventStreamParser, FederatedError, isFederatedError } from "@tributary/protocol";

export interface EventListener {
  connecting(): void;
  /** Connected. Unless `resumed`, events before now are not known and everything is to be loaded. */
  opened(resumed: boolean): void;
  /** What came at once, in order. */
  received(events: readonly MonitoringEvent[]): void;
  /** The coordinator has forgotten events since the last one that was seen: load everything. */
  reset(): void;
  /** The connection is lost; the next attempt is in so many milliseconds. */
  lost(fault: Fault, retryInMs: number): void;
  /** Refused for a reason that stays: nothing more is tried. */
  refused(fault: Fault): void;
}

export interface FollowDeps {
  /** Opens the stream. @throws FederatedError */
  readonly open: (
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ) => Promise<Response>;
  /** Calls back once. @returns how to call it off */
  readonly after: (ms: number, run: () => void) => () => void;
  /** In [0, 1). */
  readonly random: () => number;
}

export interface Follower {
  /** Ends a wait for the next attempt, or a rest: the network is back, or somebody will not wait. */
  retryNow(): void;
  /** Lets the connection go until `retryNow()`, which resumes it; the listener is told of neither. */
  rest(): void;
  stop(): void;
}

const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 15_000;
/** Four times the coordinator's usual heartbeat: a connection that says less has nobody at its end. */
const SILENCE_MS = 60_000;

/** @param listener is never called again once `stop` was */
export function followEvents(deps: FollowDeps, listener: EventListener): Follower {
  const stopping = new AbortController();
  const stopped = () => stopping.signal.aborted;
  let lastId: string | undefined;
  let failures = 0;
  let resting = false;
  const isResting = () => resting;
  let letGo = () => {};
  let retryNow = () => {};

  async function connect(): Promise<void> {
    const connection = new AbortController();
    const end = () => connection.abort();
    stopping.signal.addEventListener("abort", end);
    letGo = end;
    let callOff = deps.after(SILENCE_MS, end);
    try {
      const headers = {
        accept: "text/event-stream",
        ...(lastId === undefined ? {} : { "last-event-id": lastId }),
      };
      const { body } = await deps.open(headers, connection.signal);
      if (stopped() || connection.signal.aborted) return;
      failures = 0;
      listener.opened(lastId !== undefined);
      const reader = body?.getReader();
      // A read that waits ends with the connection, whatever the browser makes of the abort.
      connection.signal.addEventListener("abort", () => void reader?.cancel().catch(() => {}));
      const parser = createEventStreamParser();
      for (;;) {
        const piece = await reader?.read();
        if (piece?.value === undefined || stopped()) return;
        callOff();
        callOff = deps.after(SILENCE_MS, end);
        hand(parser.push(piece.value));
      }
    } finally {
      callOff();
      stopping.signal.removeEventListener("abort", end);
      end();
    }
  }

  function hand(messages: ReturnType<ReturnType<typeof createEventStreamParser>["push"]>): void {
    let events: MonitoringEvent[] = [];
    for (const { id, event } of messages) {
      lastId = id ?? lastId;
      if (event === undefined) continue;
      if (event.type !== "reset") {
        events.push(JSON.parse(event.data) as MonitoringEvent);
        continue;
      }
      if (events.length > 0) listener.received(events);
      events = [];
      listener.reset();
    }
    if (events.length > 0) listener.received(events);
  }

  async function run(): Promise<void> {
    while (!stopped()) {
      if (isResting()) {
        failures = 0;
        await new Promise<void>((resolve) => (retryNow = resolve));
        continue;
      }
      listener.connecting();
      let fault: Fault = new FederatedError("UNAVAILABLE", "the coordinator ended the stream");
      try {
        await connect();
      } catch (error) {
        // Whatever breaks off in the middle, the network's own words say less than these.
        fault = isFederatedError(error)
          ? error
          : new FederatedError("UNAVAILABLE", "the stream of events broke off", { cause: error });
      }
      if (stopped()) return;
      if (isResting()) continue;
      if (!fault.retryable) {
        listener.refused(fault);
        return;
      }
      // Half to whole of the span, so that many pages do not come back at once.
      const span = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(failures, 10));
      const wanted = Math.round(span * (0.5 + deps.random() / 2));
      const retryInMs = Math.max(wanted, failures === 0 ? 0 : (fault.retryAfterMs ?? 0));
      failures += 1;
      listener.lost(fault, retryInMs);
      await new Promise<void>((resolve) => {
        const callOff = deps.after(retryInMs, resolve);
        retryNow = () => {
          callOff();
          resolve();
        };
      });
    }
  }

  void run();
  return {
    retryNow: () => {
      resting = false;
      retryNow();
    },
    rest: () => {
      resting = true;
      letGo();
      retryNow();
    },
    stop: () => {
      stopping.abort();
      retryNow();
    },
  };
}
