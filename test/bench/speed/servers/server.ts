/**
 * The servers that are measured, each in a process of its own and as node runs it, without a loader: neither the
 * program that measures nor another server is in their heaps, which V8 marks in what it takes for idle moments.
 */

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import type { TaskId, TaskSpecInput } from "@tributary/protocol";
import { routes, SOCKET_PATH } from "@tributary/protocol";

import { answerOf, endChild, startChild } from "./child.ts";
import type { Delays, Question, Vitals } from "./messages.ts";

const pathOf = (name: string) => fileURLToPath(new URL(name, import.meta.url));
/** Built, as an operator has it. */
const CLI = pathOf("../../../../coordinator/dist/cli/main.js");

const ADMIN_TOKEN = "an-admin-token-for-the-benchmark";

export interface Server extends AsyncDisposable {
  readonly url: string;
  /** @param collect garbage is collected first */
  vitals(collect?: boolean): Promise<Vitals>;
  /** How late turns of its event loop come while `work` goes on, beyond a timer of so many ms. */
  delaysDuring(resolutionMs: number, work: () => Promise<unknown>): Promise<Delays>;
}

export interface CoordinatorServer extends Server {
  createTask(spec: TaskSpecInput): Promise<void>;
  cancelTask(taskId: TaskId): Promise<void>;
}

async function startServer(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  cleanUp: () => Promise<void> = async () => {},
): Promise<Server> {
  const preload = ["--expose-gc", `--import=${pathOf("./vitals.mjs")}`];
  const child = startChild([...preload, ...args], { HOME: tmpdir(), ...environment });
  let output = "";
  const url = await new Promise<string>((resolve, reject) => {
    const take = (chunk: unknown) => {
      output = (output + String(chunk)).slice(-10_000);
      const [, found] = /^\{"url":"([^"]+)"/m.exec(output) ?? [];
      if (found !== undefined) resolve(found);
    };
    child.stdout?.on("data", take);
    child.stderr?.on("data", take);
    child.once("exit", (code) => reject(new Error(`the server ended with ${code}: ${output}`)));
  });
  const ask = <Answer>(question: Question) => answerOf<Answer>(child, question);
  return {
    url,
    vitals: (collect = false) => ask<Vitals>({ ask: "vitals", collect }),
    delaysDuring: async (resolutionMs, work) => {
      await ask({ ask: "watch", resolutionMs });
      await work();
      return ask<Delays>({ ask: "delays" });
    },
    [Symbol.asyncDispose]: async () => {
      await endChild(child);
      await cleanUp();
    },
  };
}

/** `tributary start` on data of its own, as an operator runs it. */
export async function startCoordinatorServer(config: object = {}): Promise<CoordinatorServer> {
  const folder = await mkdtemp(join(tmpdir(), "tributary-bench-"));
  const file = join(folder, "bench.config.json");
  await writeFile(file, JSON.stringify(config));
  const args = ["start", "--config", file, "--port", "0", "--data", join(folder, "data"), "--json"];
  const server = await startServer(
    [CLI, ...args, "--log-level", "warn"],
    { TRIBUTARY_AUTH_ADMIN_TOKEN: ADMIN_TOKEN },
    () => rm(folder, { recursive: true, force: true }),
  );
  const post = async (path: string, body: object = {}) => {
    const response = await fetch(server.url + path, {
      method: "POST",
      headers: { authorization: `Bearer ${ADMIN_TOKEN}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${path}: ${response.status} ${text}`);
  };
  return {
    ...server,
    createTask: (spec) => post(routes.tasks.path(), { spec }),
    cancelTask: (taskId) => post(routes.cancelTask.path({ taskId })),
  };
}

/** socket.io as it comes. @param reply what every check-in is answered with */
export const startBareSocketIo = (reply: object): Promise<Server> =>
  startServer([pathOf("./bare-socket-io.mjs"), SOCKET_PATH, JSON.stringify(reply)]);

/** node:http that reads bodies, and keeps nothing, or all of it: `bare-bodies.mjs`. */
export const startBareBodies = (mode: "discard" | "keep"): Promise<Server> =>
  startServer([pathOf("./bare-bodies.mjs"), mode]);

/** WebSockets whose messages are added. */
export const startBareSum = (parameterCount: number): Promise<Server> =>
  startServer([pathOf("./bare-sum.mjs"), String(parameterCount)]);
