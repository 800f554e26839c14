/** Where the clients of the round are: who waits, who was selected, and what became of them. */

import { useComputed } from "@preact/signals";

import type { TaskEntry } from "../data/task-entry.ts";
import { countText, NOTHING, percentText } from "../model/format.ts";
import { cohortFunnel } from "../model/funnel.ts";
import { Bar } from "../ui/drawings.tsx";
import { Panel } from "../ui/panel.tsx";
import { Withheld } from "../ui/states.tsx";

export function CohortPanel({ entry }: { readonly entry: TaskEntry }) {
  const { task, round, withheld } = entry;
  const funnel = useComputed(() =>
    round.value === undefined ? undefined : cohortFunnel(round.value, task.value.clientsWaiting),
  );
  const { value } = funnel;
  if (value === undefined) {
    return (
      <Panel title="Cohort">
        {withheld.value ? <Withheld /> : <p class="soft">Nobody has been selected yet.</p>}
      </Panel>
    );
  }
  const { waiting, selected, steps, refusals } = value;
  const said = steps
    .filter(({ count }) => count > 0)
    .map(({ label, count }) => `${label.toLowerCase()} ${count}`);
  return (
    <Panel title="Cohort">
      <dl class="funnel-flow">
        <div>
          <dt>Waiting</dt>
          <dd>{waiting === undefined ? NOTHING : countText(waiting)}</dd>
        </div>
        <div>
          <dt>Selected</dt>
          <dd>{countText(selected)}</dd>
        </div>
      </dl>
      <Bar
        tall
        label={selected === 0 ? "Nobody is selected yet" : `Of ${selected}: ${said.join(", ")}`}
        parts={steps.map(({ part, share }) => ({ key: part, share, fill: `fill-${part}` }))}
      />
      <ul class="funnel-steps">
        {steps.map(({ part, label, meaning, count, share }) => (
          <li
            key={part}
            class={count === 0 ? "funnel-step funnel-step-empty" : "funnel-step"}
            title={meaning}
          >
            <span class={`swatch fill-${part}`} aria-hidden="true" />
            <span>{label}</span>
            <Bar parts={[{ key: part, share, fill: `fill-${part}` }]} />
            <span class="number">{countText(count)}</span>
            <span class="number small soft">{selected === 0 ? "" : percentText(share, 0)}</span>
          </li>
        ))}
      </ul>
      {refusals.length > 0 && (
        <div>
          <h3>Refused updates, by reason</h3>
          <ul class="funnel-steps">
            {refusals.map(({ code, words, count }) => (
              <li key={code} class="row">
                <span>{words}</span> <code class="soft">{code}</code>
                <span class="row-end">{countText(count)}</span>
              </li>
            ))}
          </ul>
        </div>
      )}
    </Panel>
  );
}
