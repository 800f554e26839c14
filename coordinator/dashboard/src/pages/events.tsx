/** The event log: live, filtered, and held still while somebody reads. */

import { useComputed, useSignal } from "@preact/signals";

import { useApp } from "../app.ts";
import type { LogEntry, LogKind } from "../data/event-log.ts";
import { LOG_KINDS, MOST_ENTRIES } from "../data/event-log.ts";
import { counted, countText } from "../model/format.ts";
import { LogList } from "../panels/log-list.tsx";
import { Icon } from "../ui/icon.tsx";

const KIND_WORDS: Readonly<Record<LogKind, string>> = {
  round: "Rounds",
  model: "Models",
  task: "Tasks",
  connection: "Connection",
};

export function EventsPage() {
  const { store } = useApp();
  const { log } = store;
  const kinds = useSignal<ReadonlySet<LogKind>>(new Set(LOG_KINDS));
  const sought = useSignal("");
  /** The lines at the moment of the pause. */
  const held = useSignal<readonly LogEntry[] | undefined>(undefined);
  const lines = useComputed(() => {
    const text = sought.value.trim().toLowerCase();
    return (held.value ?? log.entries.value).filter(
      (line) =>
        kinds.value.has(line.kind) &&
        (text === "" || `${line.taskId ?? ""} ${line.text}`.toLowerCase().includes(text)),
    );
  });
  const news = useComputed(() => {
    const newestHeld = held.value?.[0]?.key ?? -1;
    return held.value === undefined
      ? 0
      : log.entries.value.filter(({ key }) => key > newestHeld).length;
  });
  const toggle = (kind: LogKind) => {
    const next = new Set(kinds.value);
    if (!next.delete(kind)) next.add(kind);
    kinds.value = next;
  };
  return (
    <>
      <div class="page-head">
        <div>
          <h1>Events</h1>
          <p class="soft">
            Since this page was opened; the newest {countText(MOST_ENTRIES)} are kept.
          </p>
        </div>
        <button
          type="button"
          class="button"
          aria-pressed={held.value !== undefined}
          onClick={() => (held.value = held.value === undefined ? log.entries.value : undefined)}
        >
          <Icon name={held.value === undefined ? "pause" : "play"} />
          {held.value === undefined ? "Hold still" : "Go on"}
        </button>
      </div>
      <section class="panel" aria-label="Event log">
        <div class="row">
          <fieldset class="chips">
            <legend class="hidden-visually">Kinds of events</legend>
            {LOG_KINDS.map((kind) => (
              <button
                key={kind}
                type="button"
                class="chip"
                aria-pressed={kinds.value.has(kind)}
                onClick={() => toggle(kind)}
              >
                {KIND_WORDS[kind]}
              </button>
            ))}
          </fieldset>
          <input
            class="input row-end"
            type="search"
            aria-label="Find events by task or text"
            placeholder="Find by task or text"
            value={sought}
            onInput={(event) => (sought.value = event.currentTarget.value)}
          />
        </div>
        {held.value !== undefined && (
          <p class="note">
            <Icon name="pause" />
            <span>Held still. {counted(news.value, "new event")} meanwhile.</span>
          </p>
        )}
        {lines.value.length === 0 && log.entries.value.length > 0 ? (
          <p class="soft">No event is like that.</p>
        ) : (
          <LogList entries={lines} step={100} named />
        )}
      </section>
    </>
  );
}
