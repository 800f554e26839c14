/** A process of its own: neither its memory nor what the engine compiled for it disturbs another's measurement. */

import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";

/**
 * Runs a module that sends its one result by `answer`. Whatever it prints goes to stderr: stdout is for JSON.
 * @throws Error with what went wrong in it, in one line, or that it took longer than `limitMs`
 */
export async function runApart(
  module: URL,
  settings: readonly string[],
  limitMs: number,
  nodeOptions: readonly string[] = [],
): Promise<unknown> {
  const child = fork(fileURLToPath(module), [...settings], {
    execArgv: [...process.execArgv, ...nodeOptions],
    stdio: ["ignore", 2, "pipe", "ipc"],
    serialization: "advanced",
  });
  const answers: unknown[] = [];
  let complaint = "";
  child.on("message", (message) => answers.push(message));
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    process.stderr.write(text);
    complaint = (complaint + text).slice(-4_000);
  });
  const limit = AbortSignal.timeout(limitMs);
  limit.addEventListener("abort", () => child.kill("SIGKILL"));
  const end = await new Promise<string>((resolve) => {
    child.on("error", (error) => resolve(error.message));
    child.on("close", (code, signal) => resolve(`it ended with ${signal ?? String(code)}`));
  });
  if (answers.length > 0) return answers[0];
  const why = limit.aborted ? `it took longer than ${limitMs / 1e3} s` : end;
  throw new Error([why, lastError(complaint)].filter(Boolean).join(": "));
}

/** In the process itself. What was left open must not hold the others up. */
export function answer(result: unknown): void {
  process.send?.(result, () => process.exit(0));
}

/** The line of an uncaught error that says what happened. */
const lastError = (text: string): string | undefined => /^\w*Error.*$/m.exec(text)?.[0];
