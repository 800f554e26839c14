/** The long history of a task for the parts of the page that draw it: one for each entry, kept up while it is seen. */

import type { ReadonlySignal } from "@preact/signals";
import { useSignalEffect } from "@preact/signals";

import { useApp } from "../app.ts";
import type { Api } from "./api.ts";
import type { LongHistory, LongHistoryState } from "./long-history.ts";
import { createLongHistory } from "./long-history.ts";
import type { TaskEntry } from "./task-entry.ts";

/** An entry lives as long as what may be seen of its task stays the same. */
const histories = new WeakMap<TaskEntry, LongHistory>();

export function longHistoryOf(entry: TaskEntry, api: Api): LongHistory {
  let history = histories.get(entry);
  if (history === undefined) {
    const after = (ms: number, run: () => void) => setTimeout(run, ms);
    history = createLongHistory({ api, after }, entry.taskId);
    histories.set(entry, history);
  }
  return history;
}

/** Loads it, and what is new with each round that ends. */
export function useLongHistory(entry: TaskEntry): ReadonlySignal<LongHistoryState> {
  const { api } = useApp();
  const history = longHistoryOf(entry, api);
  useSignalEffect(() => {
    const { roundsCommitted, roundsAbandoned } = entry.task.value;
    history.follow(roundsCommitted + roundsAbandoned);
  });
  return history.state;
}
