/** `tributary simulate <task>`: the task's rounds with virtual clients, before anything is deployed. */

import { availableParallelism } from "node:os";
import { resolve } from "node:path";

import { FederatedError, float32FromBytes } from "@tributary/protocol";
import type { Command } from "commander";
import { InvalidArgumentError } from "commander";

import { readSource } from "../config/config-file.ts";
import { resolveTaskSpec } from "../task/spec.ts";
import type { SimulatedClients, SimulationOptions } from "../simulation/index.ts";
import { EXIT, Unsuccessful } from "./failure.ts";
import type { CliIo } from "./io.ts";
import { answer, note } from "./io.ts";
import { createProgressLine, printSimulation, simulatedRoundLine } from "./simulation-view.ts";
import { specOf } from "./task.ts";
import { readWeights } from "./weights.ts";

interface SimulateFlags {
  readonly clients?: string;
  readonly synthetic?: number;
  readonly behaviour?: string;
  readonly weights?: string;
  readonly seed: number;
  readonly rounds?: number;
  readonly days?: number;
  readonly threads: number;
  readonly json?: true;
}

export function addSimulateCommand(program: Command, io: CliIo): void {
  program
    .command("simulate")
    .description(
      "run a task with thousands of virtual clients: the service's own rounds, sums and noise in virtual time",
    )
    .argument(
      "<task>",
      "its spec, as `task create` takes it; a module may export `clients` as well",
    )
    .option("--clients <module>", "who trains: a module that exports `clients`")
    .option(
      "--synthetic <count>",
      "clients of a made-up least-squares problem instead: to tune schedule, drop-outs and noise",
      whole(1),
    )
    .option(
      "--behaviour <file>",
      "speeds, drop-outs, availability: JSON, or a module's `behaviour`",
    )
    .option("--weights <file>", "first weights: little-endian float32 in layout order")
    .option("--seed <n>", "decides everything that is random", whole(0), 1)
    .option("--rounds <n>", "end after so many committed rounds", whole(1))
    .option("--days <n>", "end after so much virtual time", positive)
    .option("--threads <n>", "threads that train", whole(1), availableParallelism())
    .option("--json", "report and pace as JSON")
    .action(async (file: string, flags: SimulateFlags) => {
      const options = await optionsOf(io, resolve(io.cwd, file), flags);
      // Loaded here, so that the other commands need not wait for it.
      const { simulate } = await import("../simulation/index.ts");
      const draws = io.isTTY && flags.json !== true && io.env.TERM !== "dumb";
      const line = draws ? createProgressLine(io) : undefined;
      const { report, pace } = await simulate({
        ...options,
        onRound: (round) => {
          line?.round(round);
          if (line === undefined && flags.json !== true) note(io, simulatedRoundLine(round));
        },
        ...(line === undefined ? {} : { onProgress: line.progress }),
      }).finally(() => line?.clear());
      answer(io, flags.json, { report, pace }, () => printSimulation(io, report, pace));
      // What there is has been told; that it is not all, the exit code says.
      if (report.end.kind === "interrupted") io.signal?.throwIfAborted();
      const { stall } = report;
      if (stall !== undefined) {
        throw new Unsuccessful(EXIT.stalled, `${stall.code} ${stall.message}`);
      }
    });
}

async function optionsOf(
  io: CliIo,
  file: string,
  flags: SimulateFlags,
): Promise<SimulationOptions> {
  const source = await readSource(file);
  const task = specOf(file, source);
  const brings = source.kind === "module" && source.exports.clients !== undefined;
  const clients = clientsOf(io, flags, brings ? file : undefined, task);
  const { weights, behaviour, seed, rounds, days, threads } = flags;
  const bytes = weights === undefined ? undefined : await readWeights(resolve(io.cwd, weights));
  return {
    ...{ task, clients, seed, threads },
    ...(rounds === undefined ? {} : { rounds }),
    ...(days === undefined ? {} : { virtualMs: days * 86_400_000 }),
    ...(bytes === undefined ? {} : { initialWeights: float32FromBytes(bytes) }),
    ...(behaviour === undefined ? {} : { behaviour: await readBehaviour(io, behaviour) }),
    ...(io.signal === undefined ? {} : { signal: io.signal }),
  };
}

/** @param own the task's module, where it brings clients */
function clientsOf(
  io: CliIo,
  { clients, synthetic }: SimulateFlags,
  own: string | undefined,
  task: unknown,
): SimulatedClients {
  if (clients !== undefined && synthetic !== undefined) {
    throw new FederatedError(
      "CONFIG_INVALID",
      "--clients and --synthetic name two kinds of clients; choose one",
    );
  }
  if (clients !== undefined) return { kind: "module", file: resolve(io.cwd, clients) };
  if (synthetic === undefined && own !== undefined) return { kind: "module", file: own };
  const count = synthetic ?? usualClients(task);
  return { kind: "synthetic", options: { clients: count } };
}

/** As many as the task expects: its population, else enough for three cohorts. */
function usualClients(task: unknown): number {
  const { sampler, schedule } = resolveTaskSpec(task);
  return sampler.kind === "poisson" ? sampler.population : 3 * schedule.minClients;
}

async function readBehaviour(io: CliIo, file: string): Promise<object> {
  const path = resolve(io.cwd, file);
  const source = await readSource(path);
  const behaviour =
    source.kind === "json" ? source.value : (source.exports.behaviour ?? source.exports.default);
  if (typeof behaviour === "object" && behaviour !== null) return behaviour;
  throw new FederatedError("CONFIG_INVALID", `${path} holds no object that describes a behaviour`);
}

function whole(least: number): (text: string) => number {
  return (text) => {
    const value = text.trim() === "" ? Number.NaN : Number(text);
    if (Number.isSafeInteger(value) && value >= least) return value;
    throw new InvalidArgumentError(`it must be an integer of at least ${least}`);
  };
}

function positive(text: string): number {
  const value = text.trim() === "" ? Number.NaN : Number(text);
  if (value > 0 && value < Infinity) return value;
  throw new InvalidArgumentError("it must be above 0");
}
