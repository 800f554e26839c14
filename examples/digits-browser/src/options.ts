/** The command line of the browser demo. */

import { Command, InvalidArgumentError } from "commander";

import type { DemoOptions } from "./demo.ts";

export interface DigitsBrowserOptions extends DemoOptions {
  /** Stop when training has ended; only with `maxRounds`. */
  readonly exit: boolean;
}

interface Flags {
  readonly port: number;
  readonly coordinatorPort: number;
  readonly clients: number;
  readonly images: number;
  readonly rounds?: number;
  readonly pause: number;
  readonly dataDir?: string;
  readonly exit: boolean;
}

/** Parses the arguments after `node main.js`; prints help or what is wrong, and exits, by itself. */
export function parseOptions(args: readonly string[]): DigitsBrowserOptions {
  const command = new Command("digits-browser")
    .description(
      "A page to draw digits on and to train with, its coordinator, and a few Node clients with MNIST for company.",
    )
    .option("--port <n>", "port of the page; 0 is any free one", integer(0), 8090)
    .option("--coordinator-port <n>", "port of the coordinator; 0 is any free one", integer(0), 0)
    .option("--clients <n>", "Node clients that train along", integer(1), 6)
    .option("--images <n>", "MNIST images of each", integer(1), 200)
    .option("--rounds <n>", "rounds to train; without it there is no end", integer(1))
    .option("--pause <seconds>", "rest between two rounds", seconds, 3)
    .option("--data-dir <folder>", "keep the coordinator's state here and go on from it")
    .option("--exit", "stop when the rounds are over", false)
    .allowExcessArguments(false)
    .parse(args, { from: "user" });
  const flags = command.opts<Flags>();
  if (flags.exit && flags.rounds === undefined) command.error("--exit needs --rounds");
  return {
    port: flags.port,
    coordinatorPort: flags.coordinatorPort,
    neighbours: flags.clients,
    imagesEach: flags.images,
    pauseMs: Math.round(flags.pause * 1000),
    exit: flags.exit,
    ...(flags.rounds === undefined ? {} : { maxRounds: flags.rounds }),
    ...(flags.dataDir === undefined ? {} : { dataDir: flags.dataDir }),
  };
}

function integer(minimum: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!Number.isSafeInteger(value) || value < minimum || text.trim() === "") {
      throw new InvalidArgumentError(`Must be an integer of at least ${minimum}.`);
    }
    return value;
  };
}

function seconds(text: string): number {
  const value = Number(text);
  if (!(value >= 0) || !Number.isFinite(value) || text.trim() === "") {
    throw new InvalidArgumentError("Must be a number of seconds, 0 or more.");
  }
  return value;
}
