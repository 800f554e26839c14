/** Options of commands that list one page, newest first. */

import type { Command } from "commander";
import { InvalidArgumentError } from "commander";

export interface PageFlags {
  readonly limit: number;
  readonly before?: number;
}

const MOST = 200;

export function parseCount(most: number): (text: string) => number {
  return (text) => {
    const count = /^\d{1,15}$/.test(text) ? Number(text) : 0;
    if (count >= 1 && count <= most) return count;
    throw new InvalidArgumentError(`write an integer from 1 to ${most}`);
  };
}

export const addPageOptions = (command: Command): Command =>
  command
    .option("--limit <count>", `how many, at most ${MOST}`, parseCount(MOST), 20)
    .option("--before <number>", "only older ones", parseCount(Number.MAX_SAFE_INTEGER));

export const pageQuery = ({ limit, before }: PageFlags): string =>
  `?limit=${limit}${before === undefined ? "" : `&before=${before}`}`;
