/** The processes of the benchmark: a server that tells its vitals, and crowds of clients. */

import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { SOCKET_PATH } from "@tributary/protocol";

import type { CrowdAnswer, CrowdOrder, Vitals, VitalsRequest } from "./messages.ts";

const pathOf = (name: string) => fileURLToPath(new URL(name, import.meta.url));
/** Built, as an operator has it: a loader's own memory would be counted with the clients'. */
const CLI = pathOf("../../../../coordinator/dist/cli/main.js");
const FROM_SOURCE = ["--conditions=@tributary/source", "--import=jiti/register"];

export const ADMIN_TOKEN = "an-admin-token-for-the-benchmark";

export interface Server extends AsyncDisposable {
  readonly url: string;
  /** @param collect garbage is collected first */
  vitals(collect?: boolean): Promise<Vitals>;
}

export interface Crowd extends AsyncDisposable {
  carryOut(order: CrowdOrder): Promise<CrowdAnswer>;
}

function start(args: readonly string[], environment: Readonly<Record<string, string>> = {}) {
  const child = spawn(process.execPath, args, {
    // Where `jiti` is found from.
    cwd: dirname(pathOf("./crowd.ts")),
    env: { PATH: process.env.PATH, ...environment },
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
  const killAtExit = () => child.kill("SIGKILL");
  process.once("exit", killAtExit);
  child.once("exit", () => process.off("exit", killAtExit));
  return child;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
}

/** The next thing that the process says. @throws when it ends instead */
function answerOf<Answer>(child: ChildProcess, question: object): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const settle = () => {
      child.off("message", onMessage);
      child.off("exit", onExit);
    };
    const onMessage = (message: unknown) => {
      settle();
      resolve(message as Answer);
    };
    const onExit = (code: number | null) => {
      settle();
      reject(new Error(`a process of the benchmark ended with ${code}`));
    };
    child.on("message", onMessage);
    child.on("exit", onExit);
    child.send(question);
  });
}

async function startServer(
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
  cleanUp: () => Promise<void>,
): Promise<Server> {
  const preload = ["--expose-gc", `--import=${pathOf("./vitals.mjs")}`];
  const child = start([...preload, ...args], { HOME: tmpdir(), ...environment });
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
  return {
    url,
    vitals: (collect = false) => {
      const request: VitalsRequest = { ask: "vitals", collect };
      return answerOf<Vitals>(child, request);
    },
    [Symbol.asyncDispose]: async () => {
      await end(child);
      await cleanUp();
    },
  };
}

/** `tributary start` on data of its own, as an operator runs it. */
export async function startCoordinatorServer(config: object): Promise<Server> {
  const folder = await mkdtemp(join(tmpdir(), "tributary-connections-"));
  const file = join(folder, "bench.config.json");
  await writeFile(file, JSON.stringify(config));
  const args = ["start", "--config", file, "--port", "0", "--data", join(folder, "data"), "--json"];
  return startServer(
    [CLI, ...args, "--log-level", "warn"],
    { TRIBUTARY_AUTH_ADMIN_TOKEN: ADMIN_TOKEN },
    () => rm(folder, { recursive: true, force: true }),
  );
}

/** @param reply what every check-in is answered with */
export const startBareServer = (reply: object): Promise<Server> =>
  startServer(
    [pathOf("./bare-server.mjs"), SOCKET_PATH, JSON.stringify(reply)],
    {},
    async () => {},
  );

export function startCrowd(): Crowd {
  const child = start([...FROM_SOURCE, pathOf("./crowd.ts")]);
  child.stderr?.pipe(process.stderr);
  return {
    carryOut: (order) => answerOf<CrowdAnswer>(child, order),
    [Symbol.asyncDispose]: () => end(child),
  };
}
