import { access, readFile } from "node:fs/promises";
import { join } from "node:path";

import { expect, test } from "vitest";

import { judge } from "./judge.ts";
import { KNOWN_FAILURES } from "./known-failures.ts";
import type { NamedMutant } from "./mutant.ts";
import { loadMutants, mutate } from "./mutant.ts";
import { openWorkshop, ROOT } from "./workshop.ts";

test("[EA10] each known bug still has its place in the code, and tests that are there", async () => {
  const mutants = await loadMutants();
  expect(mutants.length).toBeGreaterThan(0);
  const names = mutants.map(({ name }) => name);
  expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
  for (const mutant of mutants) {
    const { name, failure, title, file, tests } = mutant;
    expect(name.startsWith(`${`${failure}`.padStart(2, "0")}-`), name).toBe(true);
    expect(title, name).not.toBe("");
    const source = await readFile(join(ROOT, file), "utf8");
    expect(() => mutate(source, mutant), name).not.toThrow();
    expect(tests.length, name).toBeGreaterThan(0);
    for (const path of tests) await access(join(ROOT, path));
  }
});

test("[EA11] a bug counts as found only when an assertion of its tests fails, and they pass without it", async () => {
  const [known] = (await loadMutants()).filter(({ name }) => name === "10-variance-as-deviation");
  const find = "whole === 0 ? 0 : part / whole";
  const file = "protocol/src/evaluation.ts";
  const other = (name: string, replace: string, test = "evaluation.test.ts"): NamedMutant => ({
    ...{ name, title: name, failure: 0, file, find, replace },
    tests: [`protocol/src/${test}`],
  });
  const mutants = [
    known!,
    other("a remark", `/* as it was */ ${find}`),
    other("code that does not load", `${find})`),
    other("a name that is not defined", "divide(part, whole)"),
    other("tests that are not there", "part / whole", "nowhere.test.ts"),
  ];
  await using workshop = await openWorkshop();
  const before = await workshop.read(file);
  const verdicts = await judge(workshop, mutants, { timeoutMs: 100_000 });
  expect(Object.fromEntries(verdicts.map(({ name, outcome }) => [name, outcome]))).toEqual({
    "10-variance-as-deviation": "killed",
    "a remark": "survived",
    "code that does not load": "invalid",
    "a name that is not defined": "invalid",
    "tests that are not there": "invalid",
  });
  expect(await workshop.read(file)).toBe(before);
});

test("[EA12] each of the 23 known failures has a bug that is flipped in, or rules that hold it", async () => {
  const mutants = await loadMutants();
  const numbers = KNOWN_FAILURES.map(({ failure }) => failure);
  expect(numbers).toEqual(Array.from({ length: 23 }, (_, i) => i + 1));
  expect(mutants.filter(({ failure }) => !numbers.includes(failure))).toEqual([]);
  const spec = await readFile(join(ROOT, "SPEC.md"), "utf8");
  for (const { failure, title, heldBy } of KNOWN_FAILURES) {
    const isFlippedIn = mutants.some((mutant) => mutant.failure === failure);
    expect(isFlippedIn || heldBy.length > 0, `${failure}: ${title}`).toBe(true);
    for (const rule of heldBy) expect(spec, `${failure}: ${title}`).toContain(`- **${rule}** `);
  }
});
