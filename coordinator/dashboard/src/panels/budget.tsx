/** How much of a privacy budget is spent, as a bar with its numbers. */

import { useComputed } from "@preact/signals";
import { useEffect } from "preact/hooks";

import type { TaskEntry } from "../data/task-entry.ts";
import { epsilonText } from "../model/format.ts";
import { Bar } from "../ui/drawings.tsx";

export function Budget({ entry }: { readonly entry: TaskEntry }) {
  const { task, privacy: account } = entry;
  const { privacy } = task.peek().spec;
  const isAccounted = privacy.mechanism === "central" || privacy.mechanism === "matrix";
  // Of the account: the rounds that this page knows may all be ones that came to nothing.
  const spent = useComputed(() => {
    const { value } = account.state.value;
    return value !== undefined && "epsilon" in value ? value.epsilon : NaN;
  });
  useEffect(() => {
    if (isAccounted) account.want();
  }, [account, isAccounted]);
  if (privacy.mechanism === "none") return <span class="soft budget-none">None</span>;
  if (privacy.mechanism === "local") {
    return (
      <span title="Clients add the noise themselves, and each keeps its own account">
        By the clients
      </span>
    );
  }
  const share = Number.isNaN(spent.value) ? 0 : spent.value / privacy.maxEpsilon;
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
