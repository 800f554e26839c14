/** Lines of the event log: a window of the newest, which grows when asked. */

import type { ReadonlySignal } from "@preact/signals";
import { useSignal } from "@preact/signals";

import type { LogEntry, LogTone } from "../data/event-log.ts";
import { counted, timeText } from "../model/format.ts";
import { hrefs } from "../route.ts";

const DOTS: Readonly<Record<LogTone, string>> = {
  plain: "dot",
  good: "dot dot-good",
  bad: "dot dot-bad",
};

export interface LogListProps {
  readonly entries: ReadonlySignal<readonly LogEntry[]>;
  /** Lines at first, and as many more each time. */
  readonly step: number;
  /** Name the task of each line? */
  readonly named: boolean;
}

export function LogList({ entries, step, named }: LogListProps) {
  const shown = useSignal(step);
  const all = entries.value;
  const more = all.length - shown.value;
  if (all.length === 0) return <p class="soft">Nothing has happened since this page was opened.</p>;
  return (
    <>
      <ol class="log">
        {all.slice(0, shown.value).map(({ key, atMs, tone, taskId, text }) => (
          <li key={key}>
            <time class="soft" dateTime={new Date(atMs).toISOString()}>
              {timeText(atMs)}
            </time>
            <span class={DOTS[tone]} aria-hidden="true" />
            <span class="log-text">
              {named && taskId !== undefined && <a href={hrefs.task(taskId)}>{taskId}</a>}
              <span>{text}</span>
            </span>
          </li>
        ))}
      </ol>
      {more > 0 && (
        <div class="foot">
          <span class="soft small">{counted(more, "older line")}</span>
          <button type="button" class="button" onClick={() => (shown.value += step)}>
            Show older
          </button>
        </div>
      )}
    </>
  );
}
