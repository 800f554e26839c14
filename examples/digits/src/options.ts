/** The command line of the digits demo. */

import { Command, InvalidArgumentError, Option } from "commander";

import type { BackendChoice } from "./backend.ts";
import { BACKENDS } from "./backend.ts";
import type { DigitsJob } from "./job.ts";
import type { Preset } from "./presets.ts";
import { CLIPPING_NORM, PLAIN, PRIVATE } from "./presets.ts";

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

interface Flags extends Partial<Preset> {
  readonly partition: "iid" | "shards" | "dirichlet" | "writers";
  readonly alpha: number;
  readonly seed: number;
  readonly port: number;
  readonly processes: number;
  readonly backend: BackendChoice;
  readonly target?: number;
  readonly dataDir?: string;
  readonly dp: boolean;
  readonly noise: number;
  readonly clip: number;
  readonly epsilon: number;
  readonly delta: number;
  readonly exit: boolean;
  readonly json: boolean;
}

/** QMNIST's count of people who wrote the training images. */
const WRITERS = 539;

/** A default for each kind of training, as --help says it. */
const either = (of: (preset: Preset) => string | number) =>
  `(default: ${of(PRIVATE)}, with --no-dp ${of(PLAIN)})`;

/** Parses the arguments after `node main.js`; prints help or what is wrong, and exits, by itself. */
export function parseOptions(args: readonly string[]): DigitsOptions {
  const command = new Command("digits")
    .description(
      "Trains a digit classifier on MNIST over virtual clients, under differential privacy, and serves it.",
    )
    .option("--no-dp", "without differential privacy, to compare with")
    .option(
      "--rounds <n>",
      `rounds to train at most ${either(({ rounds }) => rounds ?? "until the budget is spent")}`,
      integer(1),
    )
    .option(
      "--clients <n>",
      `virtual clients the 60 000 images are dealt to ${either(({ clients }) => clients)}`,
      integer(1),
    )
    .option(
      "--cohort <n>",
      `clients in a round, under privacy on average ${either(({ cohort }) => cohort)}`,
      integer(1),
    )
    .option(
      "--epochs <n>",
      `passes of a client over its images in a round ${either(({ epochs }) => epochs)}`,
      integer(1),
    )
    .option("--batch <n>", `images in a step ${either(({ batch }) => batch)}`, integer(1))
    .option("--lr <x>", `learning rate of the clients ${either(({ lr }) => lr)}`, positive)
    .option(
      "--server-lr <x>",
      `times the mean delta that is applied ${either(({ serverLr }) => serverLr)}`,
      positive,
    )
    .addOption(
      new Option("--model <kind>", `network ${either(({ model }) => model)}`).choices([
        "mlp",
        "cnn",
      ]),
    )
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
    .option("--epsilon <x>", "privacy budget: training ends before it is exceeded", positive, 4)
    .option("--delta <x>", "delta of it; below 1 / clients", share, 1e-4)
    .option("--noise <z>", "noise on a sum, in clipping norms", positive, 1.2)
    .option("--clip <C>", "L2 norm that a client's delta is clipped to", positive, CLIPPING_NORM)
    .option("--exit", "stop when training is done", false)
    .option("--json", "one JSON line for each round and one for the result", false)
    .allowExcessArguments(false)
    .parse(args, { from: "user" });
  const given = command.opts<Flags>();
  const flags = { ...(given.dp ? PRIVATE : PLAIN), ...given };
  const clients = flags.partition === "writers" ? WRITERS : flags.clients;
  if (flags.cohort > clients) {
    command.error(`--cohort ${flags.cohort} is more than the ${clients} clients`);
  }
  if (flags.processes > clients) {
    command.error(`--processes ${flags.processes} is more than the ${clients} clients`);
  }
  const unused = ["epsilon", "delta", "noise", "clip"].find(
    (name) => !given.dp && command.getOptionValueSource(name) === "cli",
  );
  if (unused !== undefined) command.error(`--${unused} means nothing with --no-dp`);
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

function jobOf(flags: Flags & Preset, clients: number): DigitsJob {
  return {
    taskId: "digits",
    model: flags.model,
    partition: partitionOf(flags),
    clients,
    cohort: flags.cohort,
    epochs: flags.epochs,
    batchSize: flags.batch,
    learningRate: flags.lr,
    serverLearningRate: flags.serverLr,
    seed: flags.seed,
    ...(flags.rounds === undefined ? {} : { maxRounds: flags.rounds }),
    ...(flags.target === undefined ? {} : { targetAccuracy: flags.target }),
    ...(flags.dp
      ? {
          privacy: {
            noiseMultiplier: flags.noise,
            clippingNorm: flags.clip,
            maxEpsilon: flags.epsilon,
            delta: flags.delta,
          },
        }
      : {}),
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
