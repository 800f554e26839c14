/** A section in a process of its own: neither its memory nor what the engine compiled for it disturbs another. */

import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";

import type { SectionReport } from "./report.ts";
import type { Section, SectionResult } from "./section.ts";

const RUN_SECTION = new URL("./run-section.ts", import.meta.url);

export interface ApartOptions {
  readonly mini: boolean;
  /** A section that takes longer has failed. */
  readonly limitMs?: number;
  /** What runs in the process; gets the section's name and "mini" or "full", and sends its result. */
  readonly module?: URL;
}

/** Never throws: a section that fails is a report, too. */
export async function measureApart(
  { name, title }: Pick<Section, "name" | "title">,
  { mini, limitMs = 300_000, module = RUN_SECTION }: ApartOptions,
): Promise<SectionReport> {
  const start = performance.now();
  const child = fork(fileURLToPath(module), [name, mini ? "mini" : "full"], {
    // Whatever it prints goes to stderr: stdout is for the JSON.
    stdio: ["ignore", 2, "pipe", "ipc"],
    serialization: "advanced",
  });
  let result: SectionResult | undefined;
  let complaint = "";
  child.on("message", (message) => (result = message as SectionResult));
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    process.stderr.write(text);
    complaint = (complaint + text).slice(-2_000);
  });
  const limit = AbortSignal.timeout(limitMs);
  limit.addEventListener("abort", () => child.kill("SIGKILL"));
  const end = await new Promise<string>((resolve) => {
    child.on("error", (error) => resolve(error.message));
    child.on("close", (code, signal) => resolve(`it ended with ${signal ?? String(code)}`));
  });
  const report = { name, title, seconds: Number(((performance.now() - start) / 1e3).toFixed(1)) };
  if (result !== undefined) return { ...report, result };
  const why = limit.aborted ? `it took longer than ${limitMs / 1e3} s` : end;
  return { ...report, failure: [why, lastError(complaint)].filter(Boolean).join(": ") };
}

/** The line of an uncaught error that says what happened. */
const lastError = (text: string): string | undefined => /^\w*Error.*$/m.exec(text)?.[0];
