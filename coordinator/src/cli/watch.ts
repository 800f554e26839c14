/** `tributary watch [taskId]`: rounds as they happen. */

import { setTimeout as sleep } from "node:timers/promises";

import type {
  MonitoringEvent,
  Page,
  RoundResource,
  TaskId,
  TaskResource,
} from "@tributary/protocol";
import { parseTaskId, routes } from "@tributary/protocol";
import type { Command } from "commander";

import type { Api } from "./api.ts";
import { followEvents } from "./event-stream.ts";
import type { CliIo } from "./io.ts";
import { note, writeLine } from "./io.ts";
import { createScreen } from "./screen.ts";
import type { TargetFlags } from "./target.ts";
import { addTargetOptions, connect } from "./target.ts";
import { roundLine, roundStateText } from "./view.ts";
import type { WatchedTask } from "./watched-tasks.ts";
import { createWatchedTasks } from "./watched-tasks.ts";

interface WatchFlags extends TargetFlags {
  readonly json?: true;
}

export function addWatchCommand(program: Command, io: CliIo): void {
  addTargetOptions(
    program
      .command("watch")
      .description("rounds as they happen; with a task id, until the task ends")
      .argument("[taskId]")
      .option("--json", "each event as one line of JSON"),
  ).action(async (id: string | undefined, flags: WatchFlags) => {
    const taskId = id === undefined ? undefined : parseTaskId(id);
    const api = await connect(io, flags);
    try {
      await watch(io, api, taskId, flags.json === true);
    } catch (error) {
      // Interrupting is how one stops to watch.
      if (io.signal?.aborted !== true) throw error;
    }
  });
}

async function watch(
  io: CliIo,
  api: Api,
  taskId: TaskId | undefined,
  json: boolean,
): Promise<void> {
  const watched = createWatchedTasks();
  const redraws = io.isTTY && !json && io.env.TERM !== "dumb";
  const screen = redraws ? createScreen(io) : undefined;
  const query = taskId === undefined ? "" : `?taskId=${taskId}`;
  const stream = followEvents({
    open: async (headers) => api.open(`${routes.events.path()}${query}`, headers),
    sleep: async (ms) => sleep(ms, undefined, io.signal === undefined ? {} : { signal: io.signal }),
    random: Math.random,
  });
  const ended = () => taskId !== undefined && watched.get(taskId)?.state === "ended";
  const reload = async () => {
    for (const task of await fetchTasks(api, taskId)) watched.replace(task);
  };

  for await (const signal of stream) {
    if (io.signal?.aborted === true) return;
    if (signal.kind === "lost") {
      const status = `connection lost, trying again in ${(signal.retryInMs / 1000).toFixed(1)} s`;
      if (screen === undefined) note(io, status);
      else screen.draw(watched.all(), status);
      continue;
    }
    if (signal.kind === "open") {
      if (!signal.resumed) await reload();
    } else if (signal.event.type === "reset") await reload();
    else {
      const event = JSON.parse(signal.event.data) as MonitoringEvent;
      const changed = watched.apply(event);
      if (json) writeLine(io, signal.event.data);
      else if (changed && screen === undefined) writeLine(io, lineOf(event));
    }
    screen?.draw(watched.all());
    if (ended()) {
      if (screen === undefined) note(io, `task ${taskId ?? ""} has ended`);
      return;
    }
  }
}

/** How many rounds are fetched to begin with: enough for a tall terminal. */
const FIRST_ROUNDS = 50;

async function fetchTasks(api: Api, taskId: TaskId | undefined): Promise<WatchedTask[]> {
  const tasks =
    taskId === undefined
      ? (await api.getJson<{ items: TaskResource[] }>(routes.tasks.path())).items
      : [await api.getJson<TaskResource>(routes.task.path({ taskId }))];
  return Promise.all(
    tasks.map(async (task) => {
      const path = `${routes.rounds.path({ taskId: task.taskId })}?limit=${FIRST_ROUNDS}`;
      const { items } = await api.getJson<Page<RoundResource>>(path);
      const { state, endReason } = task;
      return {
        taskId: task.taskId,
        state,
        ...(endReason === undefined ? {} : { endReason }),
        rounds: items,
      };
    }),
  );
}

function lineOf(event: MonitoringEvent): string {
  const time = event.at.slice(11, 19);
  switch (event.type) {
    case "task:created":
      return `${time}  ${event.taskId}  created`;
    case "task:stateChanged":
      return `${time}  ${event.taskId}  ${[event.data.state, event.data.reason].filter(Boolean).join(": ")}`;
    case "round:phaseChanged":
    case "round:progress":
      return `${time}  ${isOver(event.data) ? roundLine(event.data) : shortLine(event.data)}`;
    case "model:published":
      return `${time}  ${event.taskId}  published version ${event.data.modelVersion}`;
  }
}

const isOver = ({ phase }: RoundResource): boolean =>
  phase === "committed" || phase === "abandoned";
const shortLine = (round: RoundResource): string => `${round.roundId}  ${roundStateText(round)}`;
