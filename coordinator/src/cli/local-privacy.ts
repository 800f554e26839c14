/** `tributary privacy local`: what noise that clients add themselves costs each of them, or how much a budget takes. */

import type { PrivacyResource } from "@tributary/protocol";
import { FederatedError } from "@tributary/protocol";
import type { Command } from "commander";
import { InvalidArgumentError } from "commander";

import { calibrateLocalNoise, localEpsilon } from "../privacy/local-gaussian.ts";
import type { CliIo } from "./io.ts";
import { answer, writeLine } from "./io.ts";
import { upwards } from "./view.ts";

interface LocalFlags {
  readonly targetEpsilon?: number;
  readonly noiseMultiplier?: number;
  readonly delta: number;
  readonly rounds: number;
  readonly json?: true;
}

export function addLocalPrivacyCommand(privacy: Command, io: CliIo): void {
  privacy
    .command("local")
    .description(
      "noise that each client adds itself: its epsilon over so many updates, or the least noise for an epsilon",
    )
    .option("--target-epsilon <epsilon>", "epsilon not to be exceeded", positive)
    .option("--noise-multiplier <z>", "noise on one delta / (2 x clipping norm)", positive)
    .requiredOption("--delta <delta>", "delta", between0And1)
    .requiredOption("--rounds <count>", "updates of one client in all", wholeFrom1)
    .option("--json", "as JSON")
    .action(({ targetEpsilon, noiseMultiplier, delta, rounds, json }: LocalFlags) => {
      const plan = { delta, rounds };
      const { noiseMultiplier: z, epsilon } = resolve(plan, targetEpsilon, noiseMultiplier);
      const cost = { epsilon, delta, accountant: "exact-gaussian", noiseMultiplier: z, rounds };
      const target = targetEpsilon === undefined ? {} : { targetEpsilon };
      answer(io, json, { ...target, ...cost }, () => {
        writeLine(
          io,
          `noise multiplier ${upwards(z)} (of twice the clipping norm, at each client): epsilon ${upwards(epsilon)} ` +
            `at delta ${delta} for each client after ${rounds} updates of its own (any other data of the client; exact)`,
        );
      });
    });
}

/** One line of `privacy show`. */
export function localLine(shown: Extract<PrivacyResource, { mechanism: "local" }>): string {
  const { taskId, epsilonPerUpdate, maxEpsilon, delta, updatesPerClient } = shown;
  return (
    `${taskId}: local noise, epsilon ${upwards(epsilonPerUpdate)} for one update and at most ${maxEpsilon} for a client's ` +
    `${updatesPerClient} updates at delta ${delta}; each client keeps its own account`
  );
}

function resolve(
  plan: { readonly delta: number; readonly rounds: number },
  targetEpsilon: number | undefined,
  noiseMultiplier: number | undefined,
): { readonly noiseMultiplier: number; readonly epsilon: number } {
  if (targetEpsilon !== undefined && noiseMultiplier === undefined) {
    return calibrateLocalNoise({ ...plan, targetEpsilon });
  }
  if (noiseMultiplier === undefined || targetEpsilon !== undefined) {
    throw new FederatedError(
      "CONFIG_INVALID",
      "say either --target-epsilon, for the noise that it takes, or --noise-multiplier, for the epsilon that it gives",
    );
  }
  const epsilon = localEpsilon({ ...plan, noiseMultiplier });
  if (Number.isFinite(epsilon)) return { noiseMultiplier, epsilon };
  throw new FederatedError(
    "CONFIG_INVALID",
    `nothing bounds epsilon at noise multiplier ${noiseMultiplier} over ${plan.rounds} updates; use more noise`,
  );
}

const parser =
  (holds: (value: number) => boolean, rule: string) =>
  (text: string): number => {
    const value = text.trim() === "" ? Number.NaN : Number(text);
    if (holds(value)) return value;
    throw new InvalidArgumentError(`it must be ${rule}`);
  };
const positive = parser((value) => value > 0 && value < Infinity, "above 0");
const between0And1 = parser((value) => value > 0 && value < 1, "between 0 and 1");
const wholeFrom1 = parser(
  (value) => Number.isInteger(value) && value >= 1 && value <= 1e9,
  "an integer from 1 to 1e9",
);
