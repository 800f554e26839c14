/** One coordinator process with one small task, its clients, and the questions that tests ask of it. */

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { RoundResource, TaskId, TaskResource, TaskSpecInput } from "@tributary/protocol";
import { routes } from "@tributary/protocol";

import { smallTask } from "../../support/coordinator.ts";
import type { RawClient } from "../../support/raw-client.ts";
import { connectRaw, newClientKey } from "../../support/raw-client.ts";
import type { ServerOptions, ServerProcess } from "./server-process.ts";
import { freePort, pause, startServer } from "./server-process.ts";

export const TASK = "small" as TaskId;

/** A data folder that outlives its coordinators, and a port that they share. */
export interface Ground extends AsyncDisposable {
  readonly directory: string;
  /** Starts a coordinator on the folder and waits until it is ready. */
  start(options?: Partial<ServerOptions>): Promise<ServerProcess>;
  /** Starts one and waits for nothing. */
  launch(options?: Partial<ServerOptions>): ServerProcess;
}

export interface GroundOptions {
  readonly task?: Partial<TaskSpecInput>;
  /** Body of an evaluator `slow` for the task: `async (weights, layout, signal) => …`. */
  readonly evaluator?: string;
}

export async function makeGround({ task = {}, evaluator }: GroundOptions = {}): Promise<Ground> {
  const directory = await mkdtemp(join(tmpdir(), "tributary-chaos-"));
  const port = await freePort();
  const configFile = join(directory, "chaos.config.mjs");
  const spec = smallTask({
    ...task,
    ...(evaluator === undefined ? {} : { evaluation: { kind: "central", evaluator: "slow" } }),
  });
  await writeFile(
    configFile,
    `export const config = { timing: { abandonedRetryMs: 50 }, tasks: [{ spec: ${JSON.stringify(spec)} }] };
export const evaluators = { ${evaluator === undefined ? "" : `slow: { evaluate: ${evaluator} }`} };
`,
  );
  const started: ServerProcess[] = [];
  const launch = (options: Partial<ServerOptions> = {}) => {
    const server = startServer({ port, directory, configFile, ...options });
    started.push(server);
    return server;
  };
  return {
    directory,
    launch,
    start: async (options) => {
      const server = launch(options);
      if ((await server.ready()) === undefined)
        throw new Error(`it did not start: ${server.log()}`);
      return server;
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all(started.map((server) => server.kill()));
      await rm(directory, { recursive: true, force: true });
    },
  };
}

export const update = (value: number) => ({
  delta: new Float32Array(7).fill(value),
  numExamples: 1,
  metrics: {},
});

/** Two clients with a place each in the open round. */
export async function seatTwo(
  url: string,
  keys: readonly string[] = [newClientKey(), newClientKey()],
) {
  const clients = await Promise.all(keys.map((clientKey) => connectRaw(url, { clientKey })));
  const replies = await Promise.all(clients.map((client) => client.checkIn(TASK)));
  const seats = await Promise.all(
    clients.map(async (client, i) => ({
      client,
      assignment: replies[i]!.assignment ?? (await client.nextAssignment()),
      layout: replies[i]!.task.layout,
    })),
  );
  const [first, second] = seats;
  return {
    first: first!,
    second: second!,
    [Symbol.asyncDispose]: async () => {
      await Promise.all(clients.map((client: RawClient) => client[Symbol.asyncDispose]()));
    },
  };
}

export async function getTask(url: string): Promise<TaskResource> {
  return (
    await fetch(`${url}${routes.task.path({ taskId: TASK })}`)
  ).json() as Promise<TaskResource>;
}

export async function getRound(url: string, roundNumber: number): Promise<RoundResource> {
  const roundId = `${TASK}.${roundNumber}`;
  return (await fetch(`${url}${routes.round.path({ roundId })}`)).json() as Promise<RoundResource>;
}

/** Asks again and again until the answer is as wanted. */
export async function until<T>(
  ask: () => Promise<T> | T,
  wanted: (answer: T) => boolean,
  timeoutMs = 30_000,
): Promise<T> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (wanted(answer)) return answer;
    if (performance.now() > end)
      throw new Error(`not within ${timeoutMs} ms: ${JSON.stringify(answer)}`);
    await pause(20);
  }
}
