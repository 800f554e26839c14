/** The newest events as lines to read, and what happened to this page's own connection. */

import type { MonitoringEvent, TaskId } from "@tributary/protocol";
import type { ReadonlySignal } from "@preact/signals";
import { signal } from "@preact/signals";

import { eventText } from "../model/event-text.ts";

export type LogKind = "task" | "round" | "model" | "connection";
export const LOG_KINDS: readonly LogKind[] = ["task", "round", "model", "connection"];

/** How a line is coloured: nothing depends on the colour alone, the text says it too. */
export type LogTone = "plain" | "good" | "bad";

export interface LogEntry {
  /** Unique on this page. */
  readonly key: number;
  /** The coordinator's instant, or the page's own for `connection`, in milliseconds. */
  readonly atMs: number;
  readonly kind: LogKind;
  readonly tone: LogTone;
  readonly taskId?: TaskId;
  readonly text: string;
}

export interface EventLog {
  /** Newest first; a new array with every change. */
  readonly entries: ReadonlySignal<readonly LogEntry[]>;
  /** Counts of reports are no lines of their own: there are several a second. */
  add(events: readonly MonitoringEvent[]): void;
  note(atMs: number, text: string, tone?: LogTone): void;
  clear(): void;
}

export const MOST_ENTRIES = 1000;

export function createEventLog(mostEntries = MOST_ENTRIES): EventLog {
  const entries = signal<readonly LogEntry[]>([]);
  let key = 0;

  const prepend = (added: readonly Omit<LogEntry, "key">[]) => {
    if (added.length === 0) return;
    const keyed = added.map((entry) => ({ ...entry, key: key++ })).reverse();
    entries.value = [...keyed, ...entries.value].slice(0, mostEntries);
  };

  return {
    entries,
    add: (events) => {
      prepend(
        events.flatMap((event) => {
          const line = eventText(event);
          if (line === undefined) return [];
          return [{ ...line, atMs: Date.parse(event.at), taskId: event.taskId }];
        }),
      );
    },
    note: (atMs, text, tone = "plain") => {
      prepend([{ atMs, kind: "connection", tone, text }]);
    },
    clear: () => {
      entries.value = [];
    },
  };
}
