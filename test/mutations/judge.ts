/** Flips mutants in, one after the other, and says which of them the tests find. */

import type { NamedMutant } from "./mutant.ts";
import { mutate } from "./mutant.ts";
import type { TestRun } from "./run-tests.ts";
import { runTests } from "./run-tests.ts";
import type { Workshop } from "./workshop.ts";

export interface Verdict {
  readonly name: string;
  readonly failure: number;
  readonly title: string;
  /**
   * `killed`: an assertion of the named tests failed. `survived`: all of them passed. `invalid`: nothing is
   * known, as the code did not load, the tests hung, or they fail without the bug, too.
   */
  readonly outcome: "killed" | "survived" | "invalid";
  /** The tests that found it, or why nothing is known. */
  readonly because: readonly string[];
  readonly durationMs: number;
}

export interface JudgeOptions {
  readonly timeoutMs: number;
  readonly onVerdict?: (verdict: Verdict) => void;
}

export async function judge(
  workshop: Workshop,
  mutants: readonly NamedMutant[],
  { timeoutMs, onVerdict }: JudgeOptions,
): Promise<Verdict[]> {
  const tests = [...new Set(mutants.flatMap((mutant) => mutant.tests))];
  // All of them together, so they may take longer than those of one mutant.
  const sound = await runTests(workshop, { tests, timeoutMs: timeoutMs * 4 });
  const verdicts: Verdict[] = [];
  for (const mutant of mutants) {
    const { name, failure, title } = mutant;
    const doubts = doubtsAbout(sound, mutant);
    const outcome =
      doubts.length > 0
        ? { outcome: "invalid" as const, because: doubts, durationMs: 0 }
        : await flipIn(workshop, mutant, timeoutMs);
    const verdict: Verdict = { name, failure, title, ...outcome };
    verdicts.push(verdict);
    onVerdict?.(verdict);
  }
  return verdicts;
}

/** Why the mutant's tests could tell nothing, if so. */
function doubtsAbout(sound: TestRun, { tests }: NamedMutant): readonly string[] {
  if (sound.timedOut) return ["the tests hang without the bug"];
  const failing = [...sound.refuted, ...sound.broken].filter(({ file }) => tests.includes(file));
  const missing = tests.filter((test) => !sound.files.includes(test));
  return [
    ...failing.map(({ title }) => `fails without the bug: ${title}`),
    ...missing.map((test) => `no test was found in ${test}`),
  ];
}

async function flipIn(
  workshop: Workshop,
  { file, tests, ...edit }: NamedMutant,
  timeoutMs: number,
): Promise<Pick<Verdict, "outcome" | "because" | "durationMs">> {
  const source = await workshop.read(file);
  await workshop.write(file, mutate(source, edit));
  try {
    const run = await runTests(workshop, { tests, timeoutMs });
    const { refuted, broken, timedOut, durationMs } = run;
    const titles = (failed: TestRun["broken"]) => failed.map(({ title }) => title);
    if (refuted.length > 0) return { outcome: "killed", because: titles(refuted), durationMs };
    if (timedOut) return { outcome: "invalid", because: ["the tests hang"], durationMs };
    if (broken.length > 0) return { outcome: "invalid", because: titles(broken), durationMs };
    if (run.passed > 0) return { outcome: "survived", because: [], durationMs };
    return { outcome: "invalid", because: ["no test ran"], durationMs };
  } finally {
    await workshop.write(file, source);
  }
}
