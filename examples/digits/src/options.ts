/** The command line of the digits demo. */

import { Command, InvalidArgumentError, Option } from "commander";

import type { BackendChoice } from "./backend.ts";
import { BACKENDS } from "./backend.ts";
import type { DigitsJob } from "./job.ts";

export interface DigitsOptions {
  readonly job: DigitsJob;
  readonly port: number;
  readonly processes: number;
  readonly backend: BackendChoice;
  /** Stop when training is done; otherwise stay up and serve. */
  readonly exit: boolean;
  readonly json: boolean;
  /** Keeps the coordinator's state, to go on from after a restart. */
  readonly dataDir?: string;
}

interface Flags {
  readonly rounds: number;
  readonly clients: number;
  readonly cohort: number;
  readonly epochs: number;
  readonly batch: number;
  readonly lr: number;
  readonly model: "mlp" | "cnn";
  readonly partition: "iid" | "shards" | "dirichlet" | "writers";
  readonly alpha: number;
  readonly seed: number;
  readonly port: number;
  readonly processes: number;
  readonly backend: BackendChoice;
  readonly target?: number;
  readonly dataDir?: string;
  readonly noise?: number;
  readonly clip: number;
  readonly epsilon: number;
  readonly delta: number;
  readonly exit: boolean;
  readonly json: boolean;
}

/** QMNIST's count of people who wrote the training images. */
const WRITERS = 539;

/** Parses the arguments after `node main.js`; prints help or what is wrong, and exits, by itself. */
export function parseOptions(args: readonly string[]): DigitsOptions {
  const command = new Command("digits")
    .description("Trains a digit classifier on MNIST over virtual clients, and serves it.")
    .option("--rounds <n>", "rounds to train", integer(1), 30)
    .option("--clients <n>", "virtual clients the 60 000 images are dealt to", integer(1), 100)
    .option("--cohort <n>", "clients in a round", integer(1), 10)
    .option("--epochs <n>", "passes of a client over its images in a round", integer(1), 2)
    .option("--batch <n>", "images in a step", integer(1), 10)
    .option("--lr <x>", "learning rate of the clients", positive, 0.1)
    .addOption(new Option("--model <kind>", "network").choices(["mlp", "cnn"]).default("mlp"))
    .addOption(
      new Option("--partition <kind>", "how the images are dealt")
        .choices(["iid", "shards", "dirichlet", "writers"])
        .default("iid"),
    )
    .option("--alpha <x>", "Dirichlet concentration; small is skewed", positive, 0.5)
    .option("--seed <n>", "decides partition, first weights, cohorts and batches", integer(0), 1)
    .option("--target <accuracy>", "stop at this accuracy, e.g. 0.97", share)
    .option("--port <n>", "port of the coordinator; 0 is any free one", integer(0), 0)
    .option(
      "--processes <n>",
      "processes to spread the clients over; 0 uses this one",
      integer(0),
      2,
    )
    .addOption(new Option("--backend <name>", "TF.js backend").choices(BACKENDS).default("auto"))
    .option("--data-dir <folder>", "keep the coordinator's state here and go on from it")
    .option("--noise <z>", "differential privacy: noise multiplier", positive)
    .option("--clip <C>", "differential privacy: bound on an update's norm", positive, 0.5)
    .option("--epsilon <x>", "differential privacy: budget", positive, 10)
    .option("--delta <x>", "differential privacy: delta", share, 1e-3)
    .option("--exit", "stop when training is done", false)
    .option("--json", "one JSON line for each round and one for the result", false)
    .allowExcessArguments(false)
    .parse(args, { from: "user" });
  const flags = command.opts<Flags>();
  const clients = flags.partition === "writers" ? WRITERS : flags.clients;
  if (flags.cohort > clients) {
    command.error(`--cohort ${flags.cohort} is more than the ${clients} clients`);
  }
  if (flags.processes > clients) {
    command.error(`--processes ${flags.processes} is more than the ${clients} clients`);
  }
  return {
    job: jobOf(flags, clients),
    port: flags.port,
    processes: flags.processes,
    backend: flags.backend,
    exit: flags.exit,
    json: flags.json,
    ...(flags.dataDir === undefined ? {} : { dataDir: flags.dataDir }),
  };
}

function jobOf(flags: Flags, clients: number): DigitsJob {
  return {
    taskId: "digits",
    model: flags.model,
    partition: partitionOf(flags),
    clients,
    cohort: flags.cohort,
    epochs: flags.epochs,
    batchSize: flags.batch,
    learningRate: flags.lr,
    seed: flags.seed,
    maxRounds: flags.rounds,
    ...(flags.target === undefined ? {} : { targetAccuracy: flags.target }),
    ...(flags.noise === undefined
      ? {}
      : {
          privacy: {
            noiseMultiplier: flags.noise,
            clippingNorm: flags.clip,
            maxEpsilon: flags.epsilon,
            delta: flags.delta,
          },
        }),
  };
}

function partitionOf({ partition, alpha }: Flags): DigitsJob["partition"] {
  switch (partition) {
    case "shards":
      return { kind: "shards", shardsPerClient: 2 };
    case "dirichlet":
      return { kind: "dirichlet", alpha };
    case "iid":
    case "writers":
      return { kind: partition };
  }
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

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0) || !Number.isFinite(value)) throw new InvalidArgumentError("Must be above 0.");
  return value;
}

function share(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value < 1)) throw new InvalidArgumentError("Must be between 0 and 1.");
  return value;
}
