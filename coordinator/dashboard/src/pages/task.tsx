/** One task: its head, then a tab of panels. */

import type { TaskResource, TaskState } from "@tributary/protocol";
import { useComputed } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

import { useApp } from "../app.ts";
import type { TaskEntry } from "../data/task-entry.ts";
import { counted, countText, decimalText, NOTHING, percentText } from "../model/format.ts";
import { taskStateWords } from "../model/words.ts";
import { Budget } from "../panels/budget.tsx";
import { taskActions, taskTabs } from "../panels/registry.ts";
import { hrefs } from "../route.ts";
import type { FigureProps } from "../ui/panel.tsx";
import { Figure, Figures } from "../ui/panel.tsx";
import { TaskPill } from "../ui/pill.tsx";
import { Empty, Skeleton } from "../ui/states.tsx";

export function TaskPage() {
  const { store, route } = useApp();
  if (route.value.page !== "task") return null;
  const { taskId, tab } = route.value;
  if (store.tasks.value === undefined) return <Skeleton lines={8} label="Loading the task" />;
  const entry = store.entry(taskId);
  if (entry === undefined) {
    return (
      <Empty title={`There is no task “${taskId}”`} whole>
        <p class="soft">
          It may have been on another coordinator, or on this one before its data was lost.
        </p>
        <a class="button" href={hrefs.overview}>
          To the tasks
        </a>
      </Empty>
    );
  }
  return <Task key={entry.key} entry={entry} tab={tab} />;
}

function Task({ entry, tab }: { readonly entry: TaskEntry; readonly tab: string | undefined }) {
  const { store } = useApp();
  const { taskId, task } = entry;
  // Of a task that changes several times a second only this much is followed here.
  const state = useComputed(() => task.value.state);
  const stateWords = useComputed(() => taskStateWords(task.value));
  const { description } = task.peek().spec;
  useEffect(() => store.watch(taskId), [store, taskId]);
  const current = taskTabs.find(({ id }) => id === tab) ?? taskTabs[0];
  const tabs = useRef<HTMLElement>(null);
  // On a phone the tabs scroll; the one that is open is in sight, without moving the page.
  useEffect(() => {
    const bar = tabs.current;
    const open = bar?.querySelector("[aria-current]");
    if (!bar || !open) return;
    const ahead = open.getBoundingClientRect().left - bar.getBoundingClientRect().left;
    bar.scrollLeft += ahead - bar.clientWidth / 3;
  }, [current?.id]);
  return (
    <>
      <div class="page-head">
        <div>
          <p class="breadcrumb">
            <a href={hrefs.overview}>Tasks</a>
          </p>
          <div class="row">
            <h1>{taskId}</h1>
            <TaskPill task={pillOf(state.value, task.peek())} />
          </div>
          {description !== "" && <p class="soft">{description}</p>}
          {state.value === "ended" && <p>{stateWords}.</p>}
        </div>
        {taskActions.map((Action, i) => (
          <Action key={i} entry={entry} />
        ))}
      </div>
      <TaskFigures entry={entry} />
      <nav class="tabs" ref={tabs} aria-label={`Parts of ${taskId}`}>
        <ul>
          {taskTabs.map(({ id, title }) => (
            <li key={id}>
              <a
                href={hrefs.task(taskId, id)}
                aria-current={id === current?.id ? "page" : undefined}
              >
                {title}
              </a>
            </li>
          ))}
        </ul>
      </nav>
      <div class="panels">
        {current?.panels.map((TaskPanel, i) => (
          <TaskPanel key={`${current.id}-${i}`} entry={entry} />
        ))}
      </div>
    </>
  );
}

/** Its reason comes with the end and stays. */
const pillOf = (state: TaskState, { endReason }: TaskResource) => ({
  state,
  ...(endReason === undefined ? {} : { endReason }),
});

function TaskFigures({ entry }: { readonly entry: TaskEntry }) {
  const { task, withheld } = entry;
  const version = useComputed(() => countText(task.value.checkpoint.modelVersion));
  const committed = useComputed(() => countText(task.value.roundsCommitted));
  const abandoned = useComputed(() => `${countText(task.value.roundsAbandoned)} abandoned`);
  const waiting = useComputed(() => countText(task.value.clientsWaiting ?? NaN));
  const parameters = counted(task.peek().layout.parameterCount, "parameter");
  return (
    <Figures>
      <Figure label="Version" value={version} note={parameters} />
      <QualityFigure entry={entry} />
      <Figure label="Rounds committed" value={committed} note={abandoned} />
      {withheld.value ? (
        <Figure label="Clients waiting" value={NOTHING} note="for the operator only" />
      ) : (
        <Figure label="Clients waiting" value={waiting} />
      )}
      <div class="figure">
        <dt>Privacy</dt>
        <dd class="figure-note">
          <Budget entry={entry} />
        </dd>
      </div>
    </Figures>
  );
}

function QualityFigure({ entry }: { readonly entry: TaskEntry }) {
  return <Figure {...qualityOf(entry)} />;
}

/** The best figure that there is: accuracy, else loss, else what clients say of their training. */
function qualityOf({ task, history, withheld }: TaskEntry): FigureProps {
  const { evaluation, spec } = task.value;
  if (evaluation !== undefined) {
    const { accuracy, macro, loss, modelVersion } = evaluation;
    const version = `version ${countText(modelVersion)}`;
    if (accuracy === undefined) return { label: "Loss", value: decimalText(loss), note: version };
    const f1 = macro === undefined ? [] : [`F1 ${decimalText(macro.f1)}`];
    const note = [...f1, `loss ${decimalText(loss)}`, version].join(", ");
    return { label: "Accuracy", value: percentText(accuracy), note };
  }
  history.follow();
  const trained = history.last("trainLoss");
  if (trained !== undefined) {
    const note = `mean of the clients, round ${countText(trained.roundNumber)}`;
    return { label: "Training loss", value: decimalText(trained.value), note };
  }
  const why = {
    none: "this task is not evaluated",
    central: "not evaluated yet",
    federated: withheld.value ? "for the operator only" : "not evaluated yet",
  }[spec.evaluation.kind];
  return { label: "Quality", value: NOTHING, note: why };
}
