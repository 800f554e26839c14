/** Which encodings a task may ask for under which privacy. */

import type { Encoding, TaskSpec } from "@tributary/protocol";

/**
 * What stands against an encoding under this mechanism; undefined when nothing does.
 *
 * Central and matrix noise are calibrated to one clipped delta, and the coordinator clips what it has decoded, so a
 * dense encoding changes nothing about what a client can add. With feedback a client sends in one round what it
 * learned in others: each delta is clipped, so the proof would hold, but whoever takes part once may be in several
 * sums, and limits of participation would count rounds that are not those the data were used in. A share without
 * feedback would lose most of a clipped delta under the same noise. Until somebody has shown what either is worth,
 * both are refused. Local noise lives on a grid of float32 numbers, which every other encoding would leave.
 */
export function encodingFault(
  { kind }: Encoding,
  mechanism: TaskSpec["privacy"]["mechanism"],
): string | undefined {
  if (mechanism === "none" || kind === "float32") return undefined;
  if (mechanism === "local") {
    return `is "${kind}", while privacy.mechanism is "local": its noise is whole steps of a float32 grid, which another encoding would round away; use "float32"`;
  }
  if (kind !== "topK" && kind !== "randomK") return undefined;
  return `is "${kind}", while privacy.mechanism is "${mechanism}": what was not sent in one round would come in another, where its limits do not count it; use "float32", "bfloat16", "int8" or "int4"`;
}
