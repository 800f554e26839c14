/** All tasks at a glance. */

import { useComputed, useSignal } from "@preact/signals";

import { useApp } from "../app.ts";
import type { TaskEntry } from "../data/task-entry.ts";
import { countText } from "../model/format.ts";
import { isOpen } from "../model/round-now.ts";
import { NewTaskLink } from "../operator/new-task-link.tsx";
import { TaskRow } from "../panels/task-row.tsx";
import { Figure, Figures } from "../ui/panel.tsx";
import { Empty, Skeleton } from "../ui/states.tsx";

/** With fewer, looking is faster than typing. */
const FILTER_FROM = 8;

export function OverviewPage() {
  const { store } = useApp();
  const { tasks } = store;
  return (
    <>
      <div class="page-head">
        <h1>Tasks</h1>
        {overviewActions.map((Action, i) => (
          <Action key={i} />
        ))}
      </div>
      {tasks.value === undefined ? (
        <Skeleton lines={8} label="Loading the tasks" />
      ) : tasks.value.length === 0 ? (
        <NoTasks />
      ) : (
        <Tasks entries={tasks.value} />
      )}
    </>
  );
}

/** Buttons beside the heading. */
export const overviewActions: readonly (() => preact.ComponentChild)[] = [NewTaskLink];

function NoTasks() {
  return (
    <Empty title="No task yet">
      <p>
        A task says which model is trained, by how many clients, and under which privacy. Write one
        here, or create it from a file:
      </p>
      <pre tabIndex={0}>
        <code>{`tributary task create task.json --url ${location.origin}`}</code>
      </pre>
      <p class="soft">It appears here as soon as it exists.</p>
    </Empty>
  );
}

function Tasks({ entries }: { readonly entries: readonly TaskEntry[] }) {
  const sought = useSignal("");
  const shown = useComputed(() => {
    const text = sought.value.trim().toLowerCase();
    const found =
      text === ""
        ? entries
        : entries.filter(
            ({ taskId, task }) =>
              taskId.includes(text) || task.value.spec.description.toLowerCase().includes(text),
          );
    // The newest first, and what has ended after what goes on.
    const rank = ({ task }: TaskEntry) => (task.value.state === "ended" ? 1 : 0);
    return [...found].reverse().sort((a, b) => rank(a) - rank(b));
  });
  return (
    <>
      <Totals entries={entries} />
      <section class="panel" aria-label="All tasks">
        {entries.length >= FILTER_FROM && (
          <div class="row">
            <input
              class="input"
              type="search"
              aria-label="Find tasks by name or description"
              placeholder="Find a task"
              value={sought}
              onInput={(event) => (sought.value = event.currentTarget.value)}
            />
            <span class="soft small" role="status">
              {countText(shown.value.length)} of {countText(entries.length)}
            </span>
          </div>
        )}
        <table class="table task-table" role="table">
          <thead role="rowgroup">
            <tr role="row">
              <th scope="col" role="columnheader">
                Task
              </th>
              <th scope="col" role="columnheader" class="wide-only">
                Now
              </th>
              <th scope="col" role="columnheader" class="number wide-only">
                Version
              </th>
              <th scope="col" role="columnheader" class="number">
                Quality
              </th>
              <th scope="col" role="columnheader">
                Privacy
              </th>
            </tr>
          </thead>
          <tbody role="rowgroup">
            {shown.value.map((entry) => (
              <TaskRow key={entry.taskId} entry={entry} />
            ))}
          </tbody>
        </table>
        {shown.value.length === 0 && <p class="soft">No task is called that.</p>}
      </section>
    </>
  );
}

function Totals({ entries }: { readonly entries: readonly TaskEntry[] }) {
  const count = (has: (entry: TaskEntry) => boolean) => countText(entries.filter(has).length);
  const running = useComputed(() => count(({ task }) => task.value.state === "running"));
  const rest = useComputed(() => {
    const paused = entries.filter(({ task }) => task.value.state === "paused").length;
    const ended = entries.filter(({ task }) => task.value.state === "ended").length;
    return `${countText(paused)} paused, ${countText(ended)} ended`;
  });
  const open = useComputed(() =>
    count(({ round }) => round.value !== undefined && isOpen(round.value)),
  );
  const committed = useComputed(() =>
    countText(entries.reduce((sum, { task }) => sum + task.value.roundsCommitted, 0)),
  );
  const abandoned = useComputed(() => {
    const sum = entries.reduce((total, { task }) => total + task.value.roundsAbandoned, 0);
    return `${countText(sum)} abandoned`;
  });
  return (
    <Figures>
      <Figure label="Tasks running" value={running} note={rest} />
      <Figure label="Rounds open now" value={open} />
      <Figure label="Rounds committed" value={committed} note={abandoned} />
    </Figures>
  );
}
