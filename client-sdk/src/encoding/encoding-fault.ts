/** Which encodings this client follows. */

import type { TrainingPlan } from "@tributary/protocol";
import { FederatedError } from "@tributary/protocol";

const VALUES: readonly unknown[] = ["float32", "bfloat16", "int8", "int4"];

/**
 * What stands against encoding as a plan asks; undefined when nothing does. A newer coordinator may ask for what this
 * client does not know. Under local noise, or where limits of taking part keep a promise, only what a task can be
 * created with is followed.
 */
export function encodingFault(plan: TrainingPlan): FederatedError | undefined {
  const { encoding, localNoise, participation } = plan;
  const { kind, values, fraction, feedback }: Partial<Record<string, unknown>> = { ...encoding };
  const isSparse = kind === "topK" || kind === "randomK";
  const isKnown = isSparse
    ? VALUES.includes(values) && Number(fraction) <= 1 && typeof feedback === "boolean"
    : VALUES.includes(kind);
  if (!isKnown) {
    const text = JSON.stringify(encoding).slice(0, 100);
    return unsupported(
      `the plan asks for updates encoded as ${text}, which this client does not know`,
    );
  }
  if (localNoise !== undefined && kind !== "float32") {
    return unsupported(`local noise needs float32, the plan asks for ${String(kind)}`);
  }
  if (participation !== undefined && isSparse) {
    return unsupported(`a plan that limits how often a client takes part cannot ask for ${kind}`);
  }
  return undefined;
}

const unsupported = (message: string) => new FederatedError("ENCODING_UNSUPPORTED", message);
