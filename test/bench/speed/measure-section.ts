/** One section of the benchmark, with what came of it. */

import { runApart } from "./apart.ts";
import type { SectionReport } from "./report.ts";
import type { Section, SectionResult } from "./section.ts";

const RUN_SECTION = new URL("./run-section.ts", import.meta.url);

export interface MeasureOptions {
  readonly mini: boolean;
  /** A section that takes longer has failed. */
  readonly limitMs?: number;
  /** What runs in the process; gets the section's name and "mini" or "full", and answers its result. */
  readonly module?: URL;
}

/** Never throws: a section that fails is a report, too. */
export async function measureSection(
  { name, title }: Pick<Section, "name" | "title">,
  { mini, limitMs = 300_000, module = RUN_SECTION }: MeasureOptions,
): Promise<SectionReport> {
  const start = performance.now();
  const report = (outcome: Pick<SectionReport, "result" | "failure">) => ({
    ...{ name, title, ...outcome },
    seconds: Number(((performance.now() - start) / 1e3).toFixed(1)),
  });
  try {
    const result = await runApart(module, [name, mini ? "mini" : "full"], limitMs);
    return report({ result: result as SectionResult });
  } catch (error) {
    return report({ failure: (error as Error).message });
  }
}
