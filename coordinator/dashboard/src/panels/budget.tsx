/** How much of a privacy budget is spent, as a bar with its numbers. */

import { useComputed } from "@preact/signals";

import type { TaskEntry } from "../data/task-entry.ts";
import { epsilonText } from "../model/format.ts";
import { Bar } from "../ui/drawings.tsx";

export function Budget({ entry }: { readonly entry: TaskEntry }) {
  const { task, history } = entry;
  const { privacy } = task.peek().spec;
  const spent = useComputed(() => {
    history.follow();
    return history.last("epsilon")?.value ?? 0;
  });
  if (privacy.mechanism === "none") return <span class="soft budget-none">None</span>;
  if (privacy.mechanism === "local") {
    return (
      <span title="Clients add the noise themselves, and each keeps its own account">
        By the clients
      </span>
    );
  }
  const share = spent.value / privacy.maxEpsilon;
  const fill = share >= 1 ? "bar-bad" : share >= 0.8 ? "bar-warn" : "bar-fill";
  return (
    <span class="budget">
      <Bar parts={[{ key: "spent", share, fill }]} />
      <span class="small">
        ε {epsilonText(spent.value)} <span class="soft">of {epsilonText(privacy.maxEpsilon)}</span>
      </span>
    </span>
  );
}
