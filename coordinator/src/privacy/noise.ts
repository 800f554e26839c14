/** The noise that a task asks for. */

import type { TaskSpec } from "@tributary/protocol";

import { createExactNoise } from "./exact-noise.ts";
import type { IntegerNoise } from "./integer-noise.ts";
import { createIntegerNoise } from "./integer-noise.ts";
import type { SecureRandom } from "./random.ts";

/** Fast unless the task asks for exact noise, for which its charges say so too. */
export function createNoise(
  { privacy }: Pick<TaskSpec, "privacy">,
  random: Pick<SecureRandom, "fill">,
): IntegerNoise {
  const isExact = privacy.mechanism === "central" && privacy.noise === "exact";
  return isExact ? createExactNoise() : createIntegerNoise(random);
}
