/** `sum-bound.c` in a process of its own: what C and the memory of this machine need for a sum. */

import { execFile, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

export type BoundCase = "read" | "float32" | "float64";

export interface SumBound {
  /** CPU time in milliseconds of one run over all updates. */
  run(what: BoundCase): Promise<number>;
  close(): Promise<void>;
}

/** Compiles and starts it; undefined where there is no gcc. */
export async function openSumBound(
  parameters: number,
  updates: number,
): Promise<SumBound | undefined> {
  const folder = await mkdtemp(join(tmpdir(), "tributary-bench-"));
  const program = join(folder, "sum-bound");
  const source = fileURLToPath(new URL("./sum-bound.c", import.meta.url));
  const flags = ["-O3", "-march=native", "-ffast-math", "-o", program, source];
  try {
    await promisify(execFile)("gcc", flags);
  } catch (error) {
    await rm(folder, { recursive: true });
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  const child = spawn(program, [String(parameters), String(updates)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    run: async (what) => {
      child.stdin.write(`${what}\n`);
      const { value, done } = await lines.next();
      if (done === true) throw new Error(`sum-bound ended while it should run "${what}"`);
      return Number(value);
    },
    close: async () => {
      child.stdin.end();
      if (child.exitCode === null) await new Promise((resolve) => child.once("close", resolve));
      await rm(folder, { recursive: true });
    },
  };
}
