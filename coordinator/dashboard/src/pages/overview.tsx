/** All tasks at a glance. */

import { useComputed, useSignal } from "@preact/signals";

import type { App } from "../app.ts";
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
        <Tasks />
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

/** Read where it is used: what a component was given changes no computation that it began with. */
const entriesOf = ({ tasks }: App["store"]): readonly TaskEntry[] => tasks.value ?? [];

function Tasks() {
  const { store } = useApp();
  const sought = useSignal("");
  const count = useComputed(() => entriesOf(store).length);
  const shown = useComputed(() => {
    const entries = entriesOf(store);
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
      <Totals />
      <section class="panel" aria-label="All tasks">
        {count.value >= FILTER_FROM && (
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
              {countText(shown.value.length)} of {countText(count.value)}
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
              <TaskRow key={entry.key} entry={entry} />
            ))}
          </tbody>
        </table>
        {shown.value.length === 0 && <p class="soft">No task is called that.</p>}
      </section>
    </>
  );
}

function Totals() {
  const { store } = useApp();
  const count = (has: (entry: TaskEntry) => boolean) =>
    countText(entriesOf(store).filter(has).length);
  const running = useComputed(() => count(({ task }) => task.value.state === "running"));
  const rest = useComputed(() => {
    const entries = entriesOf(store);
    const paused = entries.filter(({ task }) => task.value.state === "paused").length;
    const ended = entries.filter(({ task }) => task.value.state === "ended").length;
    return `${countText(paused)} paused, ${countText(ended)} ended`;
  });
  const open = useComputed(() =>
    count(({ round }) => round.value !== undefined && isOpen(round.value)),
  );
  const committed = useComputed(() =>
    countText(entriesOf(store).reduce((sum, { task }) => sum + task.value.roundsCommitted, 0)),
  );
  const abandoned = useComputed(() => {
    const sum = entriesOf(store).reduce((total, { task }) => total + task.value.roundsAbandoned, 0);
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
