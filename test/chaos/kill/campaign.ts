/** A kill run: one data folder, one port, one fleet of clients, and a coordinator that dies again and again. */

import { readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { routes } from "@tributary/protocol";

import type { ServerOptions, ServerProcess } from "../support/server-process.ts";
import { ADMIN_TOKEN, freePort, pause, startServer } from "../support/server-process.ts";
import { createDiary } from "./diary.ts";
import type { Fleet } from "./fleet.ts";
import { startFleet } from "./fleet.ts";
import { createInspector } from "./inspect.ts";
import type { Kill, Moment } from "./plan.ts";
import { createRandom, nameOf } from "./plan.ts";
import {
  ARMED_VARIABLE,
  isFirstStart,
  KILL_POINTS,
  KILL_VARIABLE,
  TRACE_VARIABLE,
} from "./points.ts";
import type { TaskSetName } from "./tasks.ts";
import { TASK_SETS, writeConfig } from "./tasks.ts";
import { watchEvents } from "./watch-events.ts";

export interface KillReport {
  readonly kills: number;
  /** Kills by point or moment. */
  readonly byPoint: Readonly<Record<string, number>>;
  /** From the start of a process on what a kill left until `/readyz`. */
  readonly recoveryMs: { readonly p50: number; readonly max: number };
  readonly versions: number;
  readonly roundsEnded: number;
  readonly trainings: number;
  readonly puts: number;
  /** Updates that a killed life had counted and their clients could not bring again in time. */
  readonly receiptsNotCommitted: number;
  /** What was found wrong; empty when nothing was lost. */
  readonly violations: readonly string[];
}

/** Points must be reached in this time, with all the patience that a busy machine needs. */
const PATIENCE_MS = 60_000;

export async function runCampaign(
  kills: readonly Kill[],
  seed: number,
  onKill: (name: string, recoveryMs: number) => void = () => undefined,
  set: TaskSetName = "plain",
): Promise<KillReport> {
  const { tasks, joined, ...told } = TASK_SETS[set];
  const random = createRandom(seed ^ 0x5eed);
  const folder = await mkdtemp(join(tmpdir(), "tributary-kill-"));
  const trace = join(folder, "reached");
  const configFile = await writeConfig(folder, tasks);
  const diary = createDiary();
  const inspector = createInspector(diary, told);
  const recoveries: number[] = [];
  const byPoint: Record<string, number> = {};
  const port = await freePort();
  const blame = (message: string) => void diary.violations.push(message);
  let running: ServerProcess | undefined;
  let fleet: Fleet | undefined;

  const start = (directory: string, environment: Record<string, string> = {}): ServerProcess => {
    const options: ServerOptions = {
      ...{ port, directory, configFile },
      preload: ["kill/fault-shim"],
      environment: { [TRACE_VARIABLE]: trace, ...environment },
    };
    running = startServer(options);
    return running;
  };

  /** A start on what a kill left: it must succeed, and its time counts. */
  async function recover(
    name: string,
    directory: string,
    environment = {},
  ): Promise<ServerProcess> {
    const server = start(directory, environment);
    const readyMs = await server.ready();
    if (readyMs === undefined) throw new Error(`no start after ${name}: ${server.log()}`);
    recoveries.push(readyMs);
    onKill(name, readyMs);
    return server;
  }

  const died = async (server: ServerProcess, name: string): Promise<void> => {
    const late = pauseFor(PATIENCE_MS);
    const exit = await Promise.race([server.exit, late.done]);
    late.cancel();
    if (exit === undefined) throw new Error(`${name} was not reached: ${server.log()}`);
    if (exit.signal !== "SIGKILL") {
      throw new Error(
        `${name}: the process ended by itself, ${exit.code ?? "killed"}: ${server.log()}`,
      );
    }
    byPoint[name] = (byPoint[name] ?? 0) + 1;
  };

  const environmentOf = (kill: Kill | undefined): Record<string, string> =>
    kill?.kind === "point" ? { [KILL_VARIABLE]: `${kill.point}:${kill.count}` } : {};

  /** Tables and secrets are made once: each such kill has a folder of its own. */
  async function killFirstStart(kill: Kill, index: number): Promise<void> {
    const directory = join(folder, `first-${index}`);
    await mkdir(directory);
    const dying = start(directory, { ...environmentOf(kill), [ARMED_VARIABLE]: "1" });
    await died(dying, nameOf(kill));
    const server = await recover(nameOf(kill), directory);
    const { items } = (await (await fetch(`${server.url}${routes.tasks.path()}`)).json()) as {
      items: unknown[];
    };
    if (items.length !== tasks.length) blame(`${nameOf(kill)} left ${items.length} tasks`);
    await server.kill();
  }

  const data = join(folder, "data");
  await mkdir(data);
  const url = `http://127.0.0.1:${port}`;
  const steer = createSteering(url, blame);
  try {
    for (const [index, kill] of kills.entries()) {
      if (kill.kind === "point" && isFirstStart(kill.point)) await killFirstStart(kill, index);
    }
    const inLife = kills.filter((kill) => kill.kind === "moment" || !isFirstStart(kill.point));
    fleet = startFleet(url, joined, diary, random);
    let last: string | undefined;
    // One life more than kills: the last one must bring everything to its end.
    for (let life = 0; life <= inLife.length; life++) {
      const kill = inLife[life];
      diary.life += 1;
      if (kill?.kind === "moment" && kill.moment === "starting") {
        const starting = start(data);
        await pause(kill.delayMs);
        await starting.kill();
        await died(starting, nameOf(kill));
        last = nameOf(kill);
        continue;
      }
      const server = await recover(last ?? "nothing", data, environmentOf(kill));
      if (last === undefined) recoveries.pop();
      const phases = createPhaseWatch();
      const watching = watchEvents(url, diary, phases.note);
      await inspector.inspect(url);
      await steer.settle();
      if (kill === undefined) {
        for (const taskId of new Set(joined.flat())) {
          if (taskId !== "lonely") await phases.committed(taskId, 2);
        }
        await inspector.inspect(url);
        server.child.kill("SIGTERM");
        const { code } = await server.exit;
        if (code !== 0) blame(`SIGTERM ended the last life with ${code ?? "a signal"}`);
        await watching;
        break;
      }
      if (kill.kind === "point") {
        server.child.kill("SIGUSR2");
        const steering = steer.towards(kill.point, server);
        await died(server, nameOf(kill));
        await steering;
      } else {
        await phases.next(kill.moment);
        await pause(kill.delayMs);
        await server.kill();
        await died(server, nameOf(kill));
      }
      last = nameOf(kill);
      await watching;
    }
    const known = new Set<string>(KILL_POINTS);
    for (const point of readFileSync(trace, "utf8").trim().split("\n")) {
      if (!known.has(point)) blame(`${point} reaches the disk and is in no list of kills`);
    }
  } finally {
    await fleet?.[Symbol.asyncDispose]();
    await running?.kill();
    if (diary.violations.length === 0) await rm(folder, { recursive: true, force: true });
  }
  return report();

  function report(): KillReport {
    const sorted = [...recoveries].sort((a, b) => a - b);
    const all = [...diary.work.values()].flatMap((work) => [...work.values()]);
    const { versions, rounds, uncounted } = inspector.totals();
    return {
      kills: Object.values(byPoint).reduce((sum, count) => sum + count, 0),
      byPoint,
      recoveryMs: {
        p50: Math.round(sorted[sorted.length >> 1] ?? NaN),
        max: Math.round(sorted.at(-1) ?? NaN),
      },
      versions,
      roundsEnded: rounds,
      trainings: all.reduce((sum, { trainings }) => sum + trainings, 0),
      puts: all.reduce((sum, { puts }) => sum + puts, 0),
      receiptsNotCommitted: uncounted,
      violations: [...new Set(diary.violations)],
    };
  }
}

/** Waits for what the event stream says of the rounds in one life. */
function createPhaseWatch() {
  const committed = new Map<string, number>();
  const waiters = new Set<() => void>();
  let phase: string | undefined;
  const until = (done: () => boolean, what: string) =>
    new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${what} did not come`)), PATIENCE_MS);
      const look = () => {
        if (!done()) return;
        clearTimeout(timer);
        waiters.delete(look);
        resolve();
      };
      waiters.add(look);
      look();
    });
  return {
    note: (event: { type: string; taskId: string; data: object }) => {
      if (event.type !== "round:phaseChanged" || !("phase" in event.data)) return;
      phase = String(event.data.phase);
      if (phase === "committed") {
        committed.set(event.taskId, (committed.get(event.taskId) ?? 0) + 1);
      }
      for (const look of [...waiters]) look();
    },
    next: (moment: Moment) => {
      phase = undefined;
      const wanted = moment === "between" ? ["committed", "abandoned"] : [moment];
      return until(() => phase !== undefined && wanted.includes(phase), `phase "${moment}"`);
    },
    committed: (taskId: string, count: number) =>
      until(() => (committed.get(taskId) ?? 0) >= count, `commit ${count} of "${taskId}"`),
  };
}

/** An operator whose commands are cut off by kills: what was confirmed must hold. */
function createSteering(url: string, blame: (message: string) => void) {
  const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, "content-type": "application/json" };
  const post = (path: string, body?: unknown) =>
    fetch(`${url}${path}`, {
      method: "POST",
      headers: body === undefined ? { authorization: headers.authorization } : headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }).then(
      async (response) => (await response.arrayBuffer(), response.status),
      () => 0,
    );
  const created = new Set<string>();
  /** What the task was last known to be told, and what it may have been told since: the answer was lost. */
  const commanded = { confirmed: "running", unanswered: new Set<string>() };
  let extra = 0;

  const stateOf = async (taskId: string) => {
    const response = await fetch(`${url}${routes.task.path({ taskId })}`);
    return response.ok ? ((await response.json()) as { state: string }).state : undefined;
  };
  const create = async () => {
    extra += 1;
    const taskId = `extra-${extra}`;
    const status = await post(routes.tasks.path(), {
      spec: { taskId, model: { tensors: [{ name: "w", shape: [1] }] } },
    });
    if (status === 201) created.add(taskId);
    return taskId;
  };
  const command = async (asked: "running" | "paused") => {
    const route = asked === "paused" ? routes.pauseTask : routes.resumeTask;
    commanded.unanswered.add(asked);
    if ((await post(route.path({ taskId: "private" }))) !== 200) return;
    commanded.confirmed = asked;
    commanded.unanswered.clear();
  };

  return {
    /** After a restart: is everything that was confirmed still so? Then everything runs again. */
    settle: async () => {
      for (const taskId of created) {
        if ((await stateOf(taskId)) === undefined) blame(`task ${taskId} was created and is gone`);
      }
      const state = await stateOf("private");
      if (state !== commanded.confirmed && !commanded.unanswered.has(state ?? "gone")) {
        blame(`"private" was commanded to be ${commanded.confirmed} and is ${state ?? "gone"}`);
      }
      // From here on this is what holds: the answer to the last command may have been lost.
      commanded.confirmed = state ?? commanded.confirmed;
      commanded.unanswered.clear();
      if (state === "paused") await command("running");
    },
    /** Does what leads to the point, until the process is gone. */
    towards: async (point: string, { child }: ServerProcess) => {
      const goesOn = () => child.exitCode === null && child.signalCode === null;
      for (let i = 0; goesOn(); i++) {
        if (point.startsWith("sql.createTask")) await create();
        else if (/^sql\.(taskState|audit)/.test(point))
          await command(i % 2 === 0 ? "paused" : "running");
        else if (point.startsWith("sql.probe")) await fetch(`${url}/readyz`).catch(() => undefined);
        else return;
      }
    },
  };
}

function pauseFor(ms: number): { readonly done: Promise<undefined>; cancel(): void } {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const done = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ms);
  });
  return { done, cancel: () => clearTimeout(timer) };
}
