/** All that the page knows of one task, each part a signal of its own. */

import type {
  MonitoringEvent,
  PrivacyResource,
  RoundResource,
  TaskId,
  TaskResource,
} from "@tributary/protocol";
import { routes } from "@tributary/protocol";
import type { ReadonlySignal } from "@preact/signals";
import { computed, signal } from "@preact/signals";

import { isWithheld } from "../model/funnel.ts";
import { isOpen } from "../model/round-now.ts";
import type { Api } from "./api.ts";
import { applyEvent, isLater, missedRounds } from "./apply-event.ts";
import type { Resource } from "./resource.ts";
import { createResource } from "./resource.ts";
import type { RoundHistory } from "./round-history.ts";
import { createRoundHistory } from "./round-history.ts";

export interface TaskEntry {
  readonly taskId: TaskId;
  /** Tells entries apart: a task that went on from older data, or another one, may come by the same name. */
  readonly key: number;
  readonly task: ReadonlySignal<TaskResource>;
  /** The round that is open, else the newest that has ended; undefined before the first. */
  readonly round: ReadonlySignal<RoundResource | undefined>;
  /** Are numbers of single rounds kept from whoever looks? */
  readonly withheld: ReadonlySignal<boolean>;
  readonly history: RoundHistory;
  /** Loaded once a panel `want`s it, then again after each round. */
  readonly privacy: Resource<PrivacyResource>;
  /** Grows by one with every version: what lists versions loads them again. */
  readonly published: ReadonlySignal<number>;
}

/** An entry with what the store alone may do with it. */
export interface OwnedEntry extends TaskEntry {
  /** Takes the task as it was loaded; of events that came while it was asked for nothing is lost. */
  replace(task: TaskResource, since?: readonly MonitoringEvent[]): void;
  /** Is this what is known of the round, as far as it had come? A round of older data begins at another time. */
  agreesWith(round: RoundResource): boolean;
  /** Takes rounds that were loaded, in any order. */
  addRounds(rounds: readonly RoundResource[]): void;
  /**
   * @returns whether the task must be loaded: rounds ended that this page was not told of, or one was
   * abandoned, after which the coordinator alone knows how long it rests
   */
  apply(event: MonitoringEvent): boolean;
}

let entries = 0;

export function createTaskEntry(api: Api, loaded: TaskResource): OwnedEntry {
  const { taskId } = loaded;
  const task = signal(loaded);
  const lastRound = signal<RoundResource | undefined>(undefined);
  const published = signal(0);
  const history = createRoundHistory();
  const privacy = createResource(() =>
    api.getJson<PrivacyResource>(routes.privacy.path({ taskId })),
  );

  /** The newest round in full; the others are columns. */
  function see(round: RoundResource | undefined): void {
    const last = lastRound.peek();
    if (round === undefined || (last !== undefined && isLater(last, round))) return;
    lastRound.value = round;
  }

  const replace = (next: TaskResource, since: readonly MonitoringEvent[] = []) => {
    task.value = since.reduce(applyEvent, next);
    const { currentRound } = task.value;
    if (currentRound !== undefined) history.put(currentRound);
    see(currentRound);
  };
  replace(loaded);

  return {
    taskId,
    key: ++entries,
    task,
    round: computed(() => task.value.currentRound ?? lastRound.value),
    withheld: computed(() => isWithheld(task.value)),
    history,
    privacy,
    published,
    replace,
    agreesWith: ({ roundNumber, openedAt }) => {
      const known = history.cell(roundNumber, "openedAt");
      return Number.isNaN(known) || known === Date.parse(openedAt);
    },
    addRounds: (rounds) => {
      history.putAll(rounds);
      for (const round of rounds) see(round);
    },
    apply: (event) => {
      const missed = missedRounds(task.peek(), event);
      task.value = applyEvent(task.peek(), event);
      if (event.type === "model:published") published.value += 1;
      if (event.type === "round:phaseChanged" || event.type === "round:progress") {
        history.put(event.data);
        see(event.data);
        if (!isOpen(event.data)) privacy.refresh();
      }
      return missed || (event.type === "round:phaseChanged" && event.data.phase === "abandoned");
    },
  };
}
