/** Processes of the benchmark that answer questions over their IPC channels, one at a time. */

import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

/** Node with these arguments; it dies with this process. */
export function startChild(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): ChildProcess {
  const child = spawn(process.execPath, args, {
    // Where `jiti` is found from.
    cwd: dirname(fileURLToPath(import.meta.url)),
    env: { PATH: process.env.PATH, ...environment },
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
  const killAtExit = () => child.kill("SIGKILL");
  process.once("exit", killAtExit);
  child.once("exit", () => process.off("exit", killAtExit));
  return child;
}

export async function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
}

/** The next thing that the process says. @throws when it ends instead */
export function answerOf<Answer>(child: ChildProcess, question: object): Promise<Answer> {
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
