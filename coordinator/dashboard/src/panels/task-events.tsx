/** What happened to one task since the page was opened. */

import { useComputed } from "@preact/signals";

import { useApp } from "../app.ts";
import type { TaskEntry } from "../data/task-entry.ts";
import { hrefs } from "../route.ts";
import { Panel } from "../ui/panel.tsx";
import { LogList } from "./log-list.tsx";

export function TaskEventsPanel({ entry }: { readonly entry: TaskEntry }) {
  const { store } = useApp();
  const { taskId } = entry;
  const entries = useComputed(() =>
    store.log.entries.value.filter((line) => line.taskId === taskId),
  );
  return (
    <Panel title="Events" aside={<a href={hrefs.events}>All events</a>}>
      <LogList entries={entries} step={8} named={false} />
    </Panel>
  );
}
