/** A look at the door: what really leaves this page as an update, read from the very bytes that are sent. */

import type { Layout, RoundId } from "@tributary/protocol";
import { decodeUpdate, l2Norm, routes } from "@tributary/protocol";

export interface SentUpdate {
  readonly roundId: RoundId;
  readonly bytes: number;
  /** L2 norm of the change, after it was cut to the task's largest. */
  readonly norm: number;
  readonly numExamples: number;
}

export interface SentUpdates {
  /** For `createClient({ fetch })`. */
  readonly fetch: typeof globalThis.fetch;
  /** Oldest first; the same array until another one is sent. */
  readonly all: readonly SentUpdate[];
  subscribe(listener: () => void): () => void;
  /** The task's, without which no update can be read. */
  useLayout(layout: Layout): void;
}

/** Shown at most. */
const KEPT = 50;

export function watchSentUpdates(): SentUpdates {
  const listeners = new Set<() => void>();
  let all: readonly SentUpdate[] = [];
  let layout: Layout | undefined;

  const look = (url: string, body: unknown) => {
    if (layout === undefined || !(body instanceof Uint8Array)) return;
    const roundId = roundOf(url);
    if (roundId === undefined) return;
    const { delta, numExamples } = decodeUpdate(layout, body);
    const sent = { roundId, bytes: body.length, norm: l2Norm(delta), numExamples };
    // The same bytes may be sent again.
    all = [...all.filter((other) => other.roundId !== roundId), sent].slice(-KEPT);
    for (const listener of [...listeners]) listener();
  };

  return {
    fetch: (input, init) => {
      if (init?.method === "PUT" && !(input instanceof Request)) look(String(input), init.body);
      return fetch(input, init);
    },
    get all() {
      return all;
    },
    subscribe: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    useLayout: (given) => {
      layout = given;
    },
  };
}

/** The round in the address of an update. */
function roundOf(url: string): RoundId | undefined {
  const [before = "", after = ""] = routes.update.pattern.split(":roundId");
  const { pathname } = new URL(url, location.href);
  if (!pathname.startsWith(before) || !pathname.endsWith(after)) return undefined;
  return decodeURIComponent(
    pathname.slice(before.length, pathname.length - after.length),
  ) as RoundId;
}
