/** The task as its coordinator tells of it: live, and what came before. */

import type {
  ModelResource,
  MonitoringEvent,
  Page,
  PrivacyResource,
  RoundResource,
  TaskId,
  TaskResource,
} from "@tributary/protocol";
import { routes } from "@tributary/protocol";
import { useEffect, useState } from "react";

/** A published version and how good it is. */
export interface Judged {
  readonly modelVersion: number;
  readonly roundNumber: number;
  /** Share of the coordinator's test images that it reads right. */
  readonly accuracy: number;
}

export interface Rounds {
  /** The stream of events is open. */
  readonly online: boolean;
  readonly task?: TaskResource;
  readonly privacy?: PrivacyResource;
  /** The round now, or the last one. */
  readonly round?: RoundResource;
  /** Oldest first. */
  readonly history: readonly Judged[];
}

const NOTHING: Rounds = { online: true, history: [] };
/** Versions that are fetched of what came before, and shown at most. */
const SHOWN = 200;
const RETRY_MS = 3_000;
const HEARD = [
  "model:published",
  "round:phaseChanged",
  "round:progress",
  "task:stateChanged",
] as const satisfies readonly MonitoringEvent["type"][];

export function useRounds(coordinatorUrl: string, taskId: string): Rounds {
  const [rounds, setRounds] = useState(NOTHING);

  useEffect(() => {
    const stop = new AbortController();
    const change = (changes: (before: Rounds) => Partial<Rounds>) => {
      if (!stop.signal.aborted) setRounds((before) => ({ ...before, ...changes(before) }));
    };
    const get = async <T>(path: string): Promise<T> => {
      const response = await fetch(coordinatorUrl + path, { signal: stop.signal });
      if (!response.ok) throw new Error(`${path} answers ${response.status}`);
      return (await response.json()) as T;
    };
    const catchUp = async () => {
      const [task, privacy, models] = await Promise.all([
        get<TaskResource>(routes.task.path({ taskId })),
        get<PrivacyResource>(routes.privacy.path({ taskId })),
        get<Page<ModelResource>>(`${routes.models.path({ taskId })}?limit=${SHOWN}`),
      ]);
      const judged = models.items.flatMap(judge).reverse();
      const { currentRound } = task;
      change(({ history }) => ({
        ...{ online: true, task, privacy, history: merge(history, judged) },
        ...(currentRound === undefined ? {} : { round: currentRound }),
      }));
    };

    const hear = (event: MonitoringEvent) => {
      switch (event.type) {
        case "model:published":
          change(({ history }) => ({ history: merge(history, judge(event.data)) }));
          break;
        case "round:phaseChanged":
        case "round:progress":
          change(() => ({ round: event.data }));
          break;
        case "task:created":
        case "task:stateChanged":
          void catchUp().catch(() => undefined);
      }
    };
    const lost = () => change(() => ({ online: false }));
    const listen = () => {
      source?.close();
      source = new EventSource(`${coordinatorUrl}${routes.events.path()}?taskId=${taskId}`);
      for (const type of HEARD) {
        source.addEventListener(type, ({ data }: MessageEvent<string>) => {
          const event = JSON.parse(data) as MonitoringEvent;
          if (event.taskId === (taskId as TaskId)) hear(event);
        });
      }
      source.onopen = () => void catchUp().catch(lost);
      // It tries again by itself, unless the answer was no stream at all.
      source.onerror = lost;
    };
    let source: EventSource | undefined;
    const again = setInterval(() => {
      if (source?.readyState === EventSource.CLOSED) listen();
    }, RETRY_MS);
    // What was open before the network went may look open afterwards, and be dead.
    addEventListener("online", listen);
    addEventListener("offline", lost);
    listen();
    return () => {
      stop.abort();
      clearInterval(again);
      source?.close();
      removeEventListener("online", listen);
      removeEventListener("offline", lost);
    };
  }, [coordinatorUrl, taskId]);

  return rounds;
}

function judge({ modelVersion, roundNumber = 0, evaluation }: ModelResource): Judged[] {
  const accuracy = evaluation?.accuracy;
  return accuracy === undefined ? [] : [{ modelVersion, roundNumber, accuracy }];
}

function merge(history: readonly Judged[], more: readonly Judged[]): readonly Judged[] {
  const byVersion = new Map([...history, ...more].map((entry) => [entry.modelVersion, entry]));
  return [...byVersion.values()].sort((a, b) => a.modelVersion - b.modelVersion).slice(-SHOWN);
}
