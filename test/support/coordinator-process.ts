/** `tributary start` as a process of its own, from source: what an operator runs, to be attacked from outside. */

import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import type { Page, RoundResource, TaskSpecInput } from "@tributary/protocol";
import { createLayout, decodeCheckpoint, routes } from "@tributary/protocol";

const CLI = fileURLToPath(new URL("../../coordinator/src/cli/main.ts", import.meta.url));
const BUILT_CLI = fileURLToPath(new URL("../../coordinator/dist/cli/main.js", import.meta.url));
const FROM_SOURCE = ["--conditions=@tributary/source", "--import=jiti/register"];

/** Ends a child whose parent is gone, also where that was killed and could do nothing about it. */
const DIE_WITH_PARENT =
  "data:text/javascript,process.on('disconnect',()=>process.kill(process.pid,'SIGKILL'));process.channel?.unref()";

export const ADMIN_TOKEN = "an-admin-token-for-tests-of-attacks";

export interface ProcessOptions {
  /** A folder of the test's own, for the config file and all data. */
  readonly directory: string;
  readonly tasks: readonly TaskSpecInput[];
  readonly config?: Readonly<Record<string, unknown>>;
  readonly port?: number;
  readonly logLevel?: string;
  /** Runs what was built instead of the source: it starts in a tenth of the time. */
  readonly built?: boolean;
}

export interface Vitals {
  readonly rssMegabytes: number;
  /** Longest delay of the event loop since the last look. */
  readonly loopDelayMs: number;
}

export interface CoordinatorProcess extends AsyncDisposable {
  readonly url: string;
  /** Everything it has written so far, results and logs. */
  readonly output: () => string;
  readonly isAlive: () => boolean;
  vitals(): Promise<Vitals>;
  rounds(taskId: string): Promise<readonly RoundResource[]>;
  /** The published weights of a version. */
  weights(task: TaskSpecInput, modelVersion: number | "latest"): Promise<Float32Array>;
  /** kill -9. */
  kill(): Promise<void>;
  /** SIGTERM. @returns the exit code */
  stop(): Promise<number | null>;
}

export async function startCoordinatorProcess(
  options: ProcessOptions,
): Promise<CoordinatorProcess> {
  const { directory, tasks, config = {}, port = 0, logLevel = "warn", built = false } = options;
  const file = join(directory, "attack.config.json");
  await writeFile(file, JSON.stringify({ ...config, tasks: tasks.map((spec) => ({ spec })) }));
  const own = ["start", "--config", file, "--port", `${port}`, "--json"];
  const child = spawn(
    process.execPath,
    [
      ...(built ? [] : FROM_SOURCE),
      ...[`--import=${DIE_WITH_PARENT}`, built ? BUILT_CLI : CLI, ...own],
      ...["--data", join(directory, "data"), "--log-level", logLevel],
    ],
    {
      // Where `jiti` is found from.
      cwd: dirname(fileURLToPath(import.meta.url)),
      env: { PATH: process.env.PATH, HOME: directory, TRIBUTARY_AUTH_ADMIN_TOKEN: ADMIN_TOKEN },
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    },
  );
  // Whatever becomes of the test, no coordinator outlives it.
  const killAtExit = () => child.kill("SIGKILL");
  process.once("exit", killAtExit);
  child.once("exit", () => process.off("exit", killAtExit));
  // Typed as it would be without the channel, which nobody speaks on.
  const { stdout, stderr } = child;
  if (stdout === null || stderr === null) throw new Error("the process has no output");
  let output = "";
  const url = await new Promise<string>((resolve, reject) => {
    const take = (chunk: unknown) => {
      output += String(chunk);
      const [, found] = /^\{"url":"([^"]+)"/m.exec(output) ?? [];
      if (found !== undefined) resolve(found);
    };
    stdout.on("data", take);
    stderr.on("data", take);
    child.once("exit", (code) => reject(new Error(`it ended with ${code}: ${output}`)));
  });

  const get = async (path: string) => {
    const response = await fetch(url + path);
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return response;
  };
  const end = async (signal: "SIGKILL" | "SIGTERM") => {
    if (isRunning(child)) {
      const exited = once(child, "exit");
      child.kill(signal);
      await exited;
    }
    return child.exitCode;
  };
  return {
    url,
    output: () => output,
    isAlive: () => isRunning(child),
    vitals: async () => {
      const text = await (await get(routes.metrics.path())).text();
      const value = (pattern: RegExp) => Number(pattern.exec(text)?.[1] ?? Number.NaN);
      return {
        rssMegabytes: value(/^process_resident_memory_bytes (\S+)/m) / 2 ** 20,
        loopDelayMs: 1000 * value(/^tributary_event_loop_delay_seconds\{quantile="1"\} (\S+)/m),
      };
    },
    rounds: async (taskId) => {
      const page = (await (
        await get(`${routes.rounds.path({ taskId })}?limit=100`)
      ).json()) as Page<RoundResource>;
      return page.items;
    },
    weights: async ({ taskId, model }, modelVersion) => {
      const layout = await createLayout(model.tensors);
      const response = await get(routes.checkpoint.path({ taskId, modelVersion }));
      const frame = new Uint8Array(await response.arrayBuffer());
      return decodeCheckpoint(layout, frame).weights;
    },
    kill: async () => {
      await end("SIGKILL");
    },
    stop: () => end("SIGTERM"),
    [Symbol.asyncDispose]: async () => {
      await end("SIGKILL");
    },
  };
}

const isRunning = (child: ChildProcess) => child.exitCode === null && child.signalCode === null;
