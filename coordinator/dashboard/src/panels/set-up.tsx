/** How a task was set up: in words, and as its author could write it again. */

import type { TaskEntry } from "../data/task-entry.ts";
import { setUpFacts } from "../model/set-up.ts";
import { Panel } from "../ui/panel.tsx";

export function SetUpPanel({ entry }: { readonly entry: TaskEntry }) {
  const { task } = entry;
  return (
    <Panel title="In words">
      <dl class="facts">
        {setUpFacts(task.value).map(([name, text]) => (
          <div key={name} class="fact">
            <dt>{name}</dt>
            <dd>{text}</dd>
          </div>
        ))}
      </dl>
    </Panel>
  );
}

export function SpecPanel({ entry }: { readonly entry: TaskEntry }) {
  return (
    <Panel title="As JSON">
      <pre class="code" tabIndex={0}>
        <code>{JSON.stringify(entry.task.value.spec, undefined, 2)}</code>
      </pre>
    </Panel>
  );
}
