#!/usr/bin/env node
/** The `tributary` command of a terminal: the process around `runCli`. */

import { isatty } from "node:tty";

import { runCli } from "./run.ts";

const interrupt = new AbortController();
let signals = 0;
for (const [signal, exitCode] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const) {
  process.on(signal, () => {
    signals += 1;
    // The first asks to finish, the second does not ask.
    if (signals > 1) process.exit(exitCode);
    interrupt.abort();
  });
}

// A reader such as `head` may go away before everything is written.
process.stdout.on("error", () => process.exit(0));
// A full disk or a reader of the log that is gone costs lines, and not the coordinator.
process.stderr.on("error", () => {});

const onTerminal = isatty(1);
process.exitCode = await runCli(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  cwd: process.cwd(),
  isTTY: onTerminal,
  ...(onTerminal
    ? { size: () => ({ columns: process.stdout.columns, rows: process.stdout.rows }) }
    : {}),
  signal: interrupt.signal,
  // Only who asks for it changes what a hang-up does: otherwise it ends the process, as it should.
  onHangup: (listener) => void process.on("SIGHUP", listener),
});

// Everything of ours is closed; what an operator's evaluator has left open must not keep the process.
for (const stream of [process.stdout, process.stderr]) {
  await new Promise<void>((resolve) => {
    stream.write("", () => resolve());
  });
}
process.exit();
