/** A run of `npm run bench` as it is kept: on what machine, when, by which command, and what came out. */

import { execFileSync } from "node:child_process";
import { cpus, loadavg, release, totalmem, type } from "node:os";

import type { SectionResult } from "./section.ts";

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly os: string;
  readonly node: string;
  /** Programs that wanted a core in the minute before the run: what else the machine did. */
  readonly loadBefore: number;
}

export interface SectionReport {
  readonly name: string;
  readonly title: string;
  readonly seconds: number;
  /** Absent where the section failed. */
  readonly result?: SectionResult;
  /** Why there is no result. */
  readonly failure?: string;
}

export interface BenchReport {
  readonly date: string;
  readonly command: string;
  /** Of the working tree, with "+" where it has changes; absent outside git. */
  readonly commit?: string;
  /** The machine's other work shows in a difference from `machine.loadBefore`; the run itself counts 1 or 2. */
  readonly loadAfter: number;
  readonly machine: Machine;
  readonly sections: readonly SectionReport[];
}

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    os: `${type()} ${release()} ${process.arch}`,
    node: process.version,
    loadBefore: loadNow(),
  };
}

export const loadNow = (): number => Number((loadavg()[0] ?? 0).toFixed(2));

/** @param cwd a folder of the working tree */
export function commitOf(cwd: string): string | undefined {
  const git = (...args: readonly string[]) =>
    execFileSync("git", args, {
      cwd,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  try {
    const isClean = git("status", "--porcelain", "--untracked-files=no") === "";
    return `${git("rev-parse", "--short", "HEAD")}${isClean ? "" : "+"}`;
  } catch {
    return undefined;
  }
}
