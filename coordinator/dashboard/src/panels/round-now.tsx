/** The round that is open, phase by phase: what it waits for, and until when. */

import { useComputed } from "@preact/signals";

import { useApp } from "../app.ts";
import type { TaskEntry } from "../data/task-entry.ts";
import { countText, spanText, wholeSpanText } from "../model/format.ts";
import { betweenRounds, isOpen, phaseSteps, phaseWaitsFor } from "../model/round-now.ts";
import { PHASE_WORDS } from "../model/words.ts";
import { Panel } from "../ui/panel.tsx";
import { Withheld } from "../ui/states.tsx";

const STEP_STATES = { done: "done", now: "now", next: "to come", failed: "failed here" } as const;

export function RoundNowPanel({ entry }: { readonly entry: TaskEntry }) {
  const { task, round, withheld } = entry;
  const { serverNow } = useApp();
  const title = useComputed(() => {
    const { value } = round;
    if (value === undefined) return "No round yet";
    const number = countText(value.roundNumber);
    return isOpen(value) ? `Round ${number}` : `Last round: ${number}`;
  });
  const deadlineMs = useComputed(() => {
    const { value } = round;
    const isDue = value?.deadlineAt !== undefined && isOpen(value);
    return isDue ? Date.parse(value.deadlineAt) : undefined;
  });
  // Text alone: the panel is not drawn again with every second.
  const left = useComputed(() =>
    deadlineMs.value === undefined ? "" : wholeSpanText(deadlineMs.value - serverNow.value),
  );
  const sentenceNow = useComputed(() =>
    round.value === undefined ? "" : phaseWaitsFor(task.value, round.value),
  );
  const isBetween = useComputed(() => round.value === undefined || !isOpen(round.value));
  const between = useComputed(() =>
    isBetween.value ? betweenRounds(task.value, serverNow.value) : "",
  );
  /** Changes with the phase and not with every report. */
  const announcement = useComputed(() => {
    const { value } = round;
    if (value === undefined) return "";
    return `Round ${value.roundNumber}: ${PHASE_WORDS[value.phase].toLowerCase()}`;
  });
  return (
    <Panel title={title.value} wide>
      <p class="hidden-visually" role="status">
        {announcement}
      </p>
      {round.value !== undefined && <Steps entry={entry} />}
      <div class="row">
        <p>{sentenceNow}</p>
        {deadlineMs.value !== undefined && (
          <p class="row-end">
            <span class="soft small">Deadline in</span> <span class="countdown">{left}</span>
          </p>
        )}
      </div>
      {isBetween.value && <p class="soft">{between}</p>}
      {withheld.value && (
        <Withheld>
          When the phase ends and how long phases took is not shown, to protect the clients. The
          operator’s token shows it.
        </Withheld>
      )}
    </Panel>
  );
}

function Steps({ entry }: { readonly entry: TaskEntry }) {
  const { value } = entry.round;
  if (value === undefined) return null;
  return (
    <ol class="steps">
      {phaseSteps(value).map(({ phase, state, durationMs }) => (
        <li
          key={phase}
          class={`step step-${state}`}
          aria-current={state === "now" ? "step" : undefined}
        >
          <span class="step-name">{PHASE_WORDS[phase]}</span>
          <span class="small soft">
            {durationMs === undefined ? STEP_STATES[state] : spanText(durationMs)}
          </span>
        </li>
      ))}
    </ol>
  );
}
