/** What is known of the tasks that are watched: a snapshot, and the events since. */

import type {
  MonitoringEvent,
  RoundPhase,
  RoundResource,
  TaskEndReason,
  TaskId,
  TaskState,
} from "@tributary/protocol";

export interface WatchedTask {
  readonly taskId: TaskId;
  readonly state: TaskState;
  readonly endReason?: TaskEndReason;
  /** Newest first. */
  readonly rounds: readonly RoundResource[];
}

export interface WatchedTasks {
  all(): readonly WatchedTask[];
  get(taskId: TaskId): WatchedTask | undefined;
  replace(task: WatchedTask): void;
  /** @returns whether the event says something worth a line: a count of reports alone does not */
  apply(event: MonitoringEvent): boolean;
}

/** More than any terminal shows; older ones are forgotten. */
const MOST_ROUNDS = 200;

const ORDER: Readonly<Record<RoundPhase, number>> = {
  selecting: 0,
  reporting: 1,
  aggregating: 2,
  committed: 3,
  abandoned: 3,
};

export function createWatchedTasks(): WatchedTasks {
  const tasks = new Map<TaskId, WatchedTask>();
  const known = (taskId: TaskId): WatchedTask =>
    tasks.get(taskId) ?? { taskId, state: "running", rounds: [] };

  /** Events that the snapshot has overtaken change nothing. */
  function applyRound(taskId: TaskId, round: RoundResource): boolean {
    const task = known(taskId);
    const earlier = task.rounds.find(({ roundNumber }) => roundNumber === round.roundNumber);
    if (earlier !== undefined && ORDER[earlier.phase] > ORDER[round.phase]) return false;
    const others = task.rounds.filter((other) => other !== earlier);
    const rounds = [round, ...others].sort((a, b) => b.roundNumber - a.roundNumber);
    tasks.set(taskId, { ...task, rounds: rounds.slice(0, MOST_ROUNDS) });
    return earlier?.phase !== round.phase;
  }

  return {
    all: () => [...tasks.values()],
    get: (taskId) => tasks.get(taskId),
    replace: (task) => void tasks.set(task.taskId, task),
    apply: (event) => {
      switch (event.type) {
        case "task:created":
          tasks.set(event.taskId, { ...known(event.taskId), state: event.data.state });
          return true;
        case "task:stateChanged": {
          const { state, reason } = event.data;
          const { taskId, rounds } = known(event.taskId);
          tasks.set(taskId, {
            taskId,
            rounds,
            state,
            ...(reason === undefined ? {} : { endReason: reason }),
          });
          return true;
        }
        case "round:phaseChanged":
        case "round:progress":
          return applyRound(event.taskId, event.data);
        case "model:published":
          return true;
      }
    },
  };
}
