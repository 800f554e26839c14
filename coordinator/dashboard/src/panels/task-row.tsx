/** One task as a row of the overview. Only what changed in it is drawn again. */

import { useComputed } from "@preact/signals";

import { useApp } from "../app.ts";
import type { TaskEntry } from "../data/task-entry.ts";
import { countText, decimalText, percentText, wholeSpanText } from "../model/format.ts";
import { isOpen } from "../model/round-now.ts";
import { END_WORDS, PHASE_WORDS } from "../model/words.ts";
import { hrefs } from "../route.ts";
import { SparkLine } from "../ui/drawings.tsx";
import { TaskPill } from "../ui/pill.tsx";
import { Budget } from "./budget.tsx";

const SPARK_ROUNDS = 40;

export function TaskRow({ entry }: { readonly entry: TaskEntry }) {
  const { taskId, task, round } = entry;
  const { serverNow } = useApp();
  const state = useComputed(() => task.value.state);
  const endReason = useComputed(() => task.value.endReason);
  const version = useComputed(() => countText(task.value.checkpoint.modelVersion));
  const now = useComputed(() => {
    const { value } = round;
    if (value === undefined || !isOpen(value)) {
      if (endReason.value !== undefined) return `Ended: ${END_WORDS[endReason.value]}`;
      if (state.value === "paused") return "No round while paused";
      return task.value.nextRoundAt === undefined ? "Waits for clients" : "Rests between rounds";
    }
    return `Round ${countText(value.roundNumber)}, ${PHASE_WORDS[value.phase].toLowerCase()}`;
  });
  const left = useComputed(() => {
    const deadlineAt = round.value?.deadlineAt;
    if (deadlineAt === undefined) return "";
    const leftMs = Date.parse(deadlineAt) - serverNow.value;
    return leftMs > 0 ? `${wholeSpanText(leftMs)} left` : "deadline passed";
  });
  return (
    <tr role="row">
      <td role="cell" class="task-cell">
        <a class="task-name" href={hrefs.task(taskId)}>
          {taskId}
        </a>{" "}
        <TaskPill
          task={{
            state: state.value,
            ...(endReason.value === undefined ? {} : { endReason: endReason.value }),
          }}
        />
        {task.peek().spec.description !== "" && (
          <p class="clip wide-only">{task.peek().spec.description}</p>
        )}
        <p class="narrow-only">{now}</p>
      </td>
      <td role="cell" class="wide-only">
        {now}
        <div class="small soft">{left}</div>
      </td>
      <td role="cell" class="number wide-only">
        {version}
      </td>
      <td role="cell" class="number">
        <Quality entry={entry} />
      </td>
      <td role="cell" class="budget-cell">
        <Budget entry={entry} />
      </td>
    </tr>
  );
}

function Quality({ entry }: { readonly entry: TaskEntry }) {
  const { task, history } = entry;
  const text = useComputed(() => {
    const { evaluation } = task.value;
    if (evaluation === undefined) {
      history.follow();
      const trained = history.last("trainLoss");
      return trained === undefined ? "–" : `loss ${decimalText(trained.value)}`;
    }
    return evaluation.accuracy === undefined
      ? `loss ${decimalText(evaluation.loss)}`
      : percentText(evaluation.accuracy);
  });
  const values = useComputed(() => {
    history.follow();
    const column =
      history.last("accuracy") !== undefined
        ? "accuracy"
        : history.last("loss") !== undefined
          ? "loss"
          : "trainLoss";
    const last: number[] = [];
    for (let n = history.newest; n > 0 && n >= history.oldest; n--) {
      const value = history.cell(n, column);
      if (!Number.isNaN(value)) last.push(value);
      if (last.length === SPARK_ROUNDS) break;
    }
    return last.reverse();
  });
  return (
    <span class="value-with-chart">
      <span class="wide-only">
        <SparkLine values={values.value} />
      </span>
      <span>{text}</span>
    </span>
  );
}
