/** `tributary privacy epsilon | calibrate | plan | local | show`: what a plan costs before anything is trained. */

import { readFile } from "node:fs/promises";
import { resolve } from "node:path";

import type { PrivacyResource } from "@tributary/protocol";
import { FederatedError, parseTaskId, routes } from "@tributary/protocol";
import type { Command } from "commander";
import { InvalidArgumentError } from "commander";

import type { Fault } from "../config/schema.ts";
import { assertNoFaults } from "../config/schema.ts";
import type { Spent } from "../privacy/accountant.ts";
import { epsilonOfGroups } from "../privacy/accountant.ts";
import { calibrateNoise } from "../privacy/calibrate.ts";
import { sampledGaussian } from "../privacy/charge.ts";
import type { CliIo } from "./io.ts";
import { answer, writeLine } from "./io.ts";
import { addLocalPrivacyCommand, localLine } from "./local-privacy.ts";
import type { Column } from "./table.ts";
import { writeTable } from "./table.ts";
import type { TargetFlags } from "./target.ts";
import { addTargetOptions, connect } from "./target.ts";
import { upwards } from "./view.ts";

/** Equal rounds of a Poisson-sampled Gaussian. */
interface Setting {
  readonly samplingRate: number;
  readonly noiseMultiplier: number;
  readonly rounds: number;
  readonly delta: number;
}

interface EpsilonFlags extends Partial<Setting> {
  readonly input?: string;
  readonly json?: true;
}

interface PlanFlags {
  readonly samplingRate: number;
  readonly delta: number;
  readonly rounds: readonly number[];
  readonly noiseMultipliers: readonly number[];
  readonly json?: true;
}

const RULES: Readonly<Record<keyof Setting, { holds: (value: number) => boolean; rule: string }>> =
  {
    samplingRate: { holds: (q) => q > 0 && q <= 1, rule: "must be above 0 and at most 1" },
    noiseMultiplier: { holds: (z) => z > 0 && z < Infinity, rule: "must be above 0" },
    rounds: {
      holds: (rounds) => Number.isInteger(rounds) && rounds >= 1 && rounds <= 1e9,
      rule: "must be an integer from 1 to 1e9",
    },
    delta: { holds: (delta) => delta > 0 && delta < 1, rule: "must be between 0 and 1" },
  };
const NAMES = Object.keys(RULES) as readonly (keyof Setting)[];

export function addPrivacyCommands(program: Command, io: CliIo): void {
  const privacy = program
    .command("privacy")
    .description(
      "what differential privacy costs: epsilon of a plan, noise for a budget, a task's budget",
    );

  privacy
    .command("epsilon")
    .description(
      "epsilon of equal rounds, each a Poisson sample with Gaussian noise on its clipped sum",
    )
    .option(
      "--sampling-rate <q>",
      "chance of each client to be in a round",
      parseAs("samplingRate"),
    )
    .option(
      "--noise-multiplier <z>",
      "noise on the sum / clipping norm",
      parseAs("noiseMultiplier"),
    )
    .option("--rounds <count>", "rounds", parseAs("rounds"))
    .option("--delta <delta>", "delta", parseAs("delta"))
    .option(
      "--input <file>",
      "JSON array of {samplingRate, noiseMultiplier, rounds, delta} instead",
    )
    .option("--json", "as JSON")
    .action(async (flags: EpsilonFlags) => {
      if (flags.input !== undefined) {
        refuseBoth(flags);
        const settings = await readSettings(resolve(io.cwd, flags.input));
        const costs = settings.map((setting) => ({ ...setting, ...withEpsilon(setting) }));
        answer(io, flags.json, costs, () => writeTable(io, COST_COLUMNS, costs, "no settings"));
        return;
      }
      const cost = withEpsilon(assertSetting(flags));
      answer(io, flags.json, cost, () => writeLine(io, sentence(cost)));
    });

  privacy
    .command("calibrate")
    .description("the least noise that keeps a plan of rounds within epsilon")
    .requiredOption("--target-epsilon <epsilon>", "epsilon not to be exceeded", parsePositive)
    .requiredOption("--delta <delta>", "delta", parseAs("delta"))
    .requiredOption(
      "--sampling-rate <q>",
      "chance of each client in a round",
      parseAs("samplingRate"),
    )
    .requiredOption("--rounds <count>", "rounds", parseAs("rounds"))
    .option("--json", "as JSON")
    .action(
      (
        flags: Omit<Setting, "noiseMultiplier"> & { targetEpsilon: number; readonly json?: true },
      ) => {
        const { targetEpsilon, delta, samplingRate, rounds, json } = flags;
        const { noiseMultiplier, epsilon, accountant } = calibrateNoise({
          ...{ targetEpsilon, delta, samplingRate, rounds },
        });
        const cost = { epsilon, delta, accountant, noiseMultiplier, samplingRate, rounds };
        answer(io, json, { targetEpsilon, ...cost }, () => {
          writeLine(io, `noise multiplier ${upwards(noiseMultiplier)}: ${sentence(cost)}`);
        });
      },
    );

  privacy
    .command("plan")
    .description("a table of epsilon over rounds and noise")
    .requiredOption(
      "--sampling-rate <q>",
      "chance of each client in a round",
      parseAs("samplingRate"),
    )
    .requiredOption("--delta <delta>", "delta", parseAs("delta"))
    .option("--rounds <counts>", "with commas", parseList("rounds"), [10, 30, 100, 300, 1000])
    .option(
      "--noise-multipliers <zs>",
      "with commas",
      parseList("noiseMultiplier"),
      [0.5, 0.7, 1, 1.5, 2, 4],
    )
    .option("--json", "as JSON")
    .action(({ samplingRate, delta, rounds, noiseMultipliers, json }: PlanFlags) => {
      const rows = rounds.map((count) =>
        noiseMultipliers.map((noiseMultiplier) =>
          withEpsilon({ samplingRate, noiseMultiplier, rounds: count, delta }),
        ),
      );
      answer(io, json, rows.flat(), () => {
        writeLine(io, `epsilon at delta ${delta}, sampling rate ${samplingRate}`);
        writeTable(io, planColumns(noiseMultipliers), rows, "no rounds");
      });
    });

  addLocalPrivacyCommand(privacy, io);

  addTargetOptions(
    privacy
      .command("show")
      .description("a task's budget and its promise in words")
      .requiredOption("--task <taskId>", "task")
      .option("--json", "as JSON"),
  ).action(async (flags: TargetFlags & { readonly task: string; readonly json?: true }) => {
    const path = routes.privacy.path({ taskId: parseTaskId(flags.task) });
    const shown = await (await connect(io, flags)).getJson<PrivacyResource>(path);
    answer(io, flags.json, shown, () => {
      if (shown.mechanism === "none") {
        writeLine(io, `${shown.taskId} has no differential privacy`);
        return;
      }
      if (shown.mechanism === "local") {
        writeLine(io, localLine(shown));
        writeLine(io, shown.statement);
        return;
      }
      const { taskId, epsilon, maxEpsilon, delta, rounds, roundsLeft, statement } = shown;
      const left = roundsLeft === undefined ? "" : `, ${roundsLeft} left`;
      writeLine(
        io,
        `${taskId}: epsilon ${upwards(epsilon)} of ${maxEpsilon} at delta ${delta} after ${rounds} rounds${left}`,
      );
      writeLine(io, statement);
    });
  });
}

type Cost = Setting & Spent;

function withEpsilon({ samplingRate, noiseMultiplier, rounds, delta }: Setting): Cost {
  const group = { charge: sampledGaussian(noiseMultiplier, samplingRate), count: rounds };
  const { epsilon, accountant } = epsilonOfGroups([group], delta);
  if (!Number.isFinite(epsilon)) {
    throw new FederatedError(
      "CONFIG_INVALID",
      `nothing bounds epsilon at noise multiplier ${noiseMultiplier} over ${rounds} rounds; use more noise`,
    );
  }
  return { epsilon, delta, accountant, noiseMultiplier, samplingRate, rounds };
}

const sentence = ({ epsilon, delta, accountant, noiseMultiplier, samplingRate, rounds }: Cost) =>
  `epsilon ${upwards(epsilon)} at delta ${delta} after ${rounds} rounds ` +
  `(noise multiplier ${upwards(noiseMultiplier)}, sampling rate ${samplingRate}; add or remove one client; ${accountant})`;

const COST_COLUMNS: readonly Column<Cost>[] = [
  { title: "sampling", text: ({ samplingRate }) => String(samplingRate), align: "right" },
  { title: "noise", text: ({ noiseMultiplier }) => String(noiseMultiplier), align: "right" },
  { title: "rounds", text: ({ rounds }) => String(rounds), align: "right" },
  { title: "delta", text: ({ delta }) => String(delta), align: "right" },
  { title: "epsilon", text: ({ epsilon }) => upwards(epsilon), align: "right" },
  { title: "by", text: ({ accountant }) => accountant },
];

const planColumns = (noiseMultipliers: readonly number[]): readonly Column<readonly Cost[]>[] => [
  { title: "rounds", text: ([first]) => String(first?.rounds), align: "right" },
  ...noiseMultipliers.map((z, i) => ({
    title: `z=${z}`,
    text: (costs: readonly Cost[]) => upwards(costs[i]?.epsilon ?? Number.NaN),
    align: "right" as const,
  })),
];

// ------------------------------------------------------------------------------- input

function parseNumber(text: string): number {
  return text.trim() === "" ? Number.NaN : Number(text);
}

function parseAs(name: keyof Setting): (text: string) => number {
  const { holds, rule } = RULES[name];
  return (text) => {
    const value = parseNumber(text);
    if (holds(value)) return value;
    throw new InvalidArgumentError(`it ${rule}`);
  };
}

const parseList =
  (name: keyof Setting) =>
  (text: string): number[] =>
    text.split(",").map(parseAs(name));

function parsePositive(text: string): number {
  const value = parseNumber(text);
  if (value > 0 && value < Infinity) return value;
  throw new InvalidArgumentError("it must be above 0");
}

/** Adds what is wrong with the setting to `faults`; it is one when nothing is. */
function checkSetting(value: unknown, path: string, faults: Fault[]): Setting {
  const given = (typeof value === "object" && value !== null ? value : {}) as Setting;
  for (const name of NAMES) {
    const at = path === "" ? name : `${path}.${name}`;
    const number: unknown = given[name];
    if (number === undefined) faults.push({ path: at, message: "is required" });
    else if (typeof number !== "number" || !RULES[name].holds(number)) {
      faults.push({ path: at, message: `${RULES[name].rule}, got ${JSON.stringify(number)}` });
    }
  }
  return given;
}

/** @throws FederatedError CONFIG_INVALID with every fault */
function assertSetting(flags: EpsilonFlags): Setting {
  const faults: Fault[] = [];
  const setting = checkSetting(flags, "", faults);
  assertNoFaults("the setting", faults);
  return setting;
}

/** @throws FederatedError CONFIG_INVALID with every fault of every setting */
async function readSettings(file: string): Promise<Setting[]> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(file, "utf8"));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new FederatedError("CONFIG_INVALID", `cannot read ${file}: ${reason}`, { cause: error });
  }
  if (!Array.isArray(value)) {
    throw new FederatedError("CONFIG_INVALID", `${file} must hold an array of settings`);
  }
  const faults: Fault[] = [];
  const settings = value.map((setting, i) => checkSetting(setting, String(i), faults));
  assertNoFaults(file, faults);
  return settings;
}

function refuseBoth(flags: EpsilonFlags): void {
  const given = NAMES.filter((name) => flags[name] !== undefined);
  if (given.length === 0) return;
  throw new FederatedError(
    "CONFIG_INVALID",
    `--input brings whole settings: leave out ${given.join(", ")}`,
  );
}
