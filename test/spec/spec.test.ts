import { readFileSync } from "node:fs";
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";

import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Rules of SPEC.md: `- **RD1** …`. */
function rulesInSpec(): string[] {
  const spec = readFileSync(`${root}SPEC.md`, "utf8");
  return [...spec.matchAll(/^- \*\*([A-Z]+\d+)\*\* /gm)].map((match) => match[1]!);
}

/** Ids at the start of test titles: `test("[RD1] …`. */
function rulesInTests(): Map<string, string> {
  const files = execFileSync(
    "git",
    ["ls-files", "-co", "--exclude-standard", "--", "*.test.ts", "test/conformance/*.ts"],
    {
      cwd: root,
      encoding: "utf8",
    },
  );
  const found = new Map<string, string>();
  for (const file of new Set(files.split("\n").filter(Boolean))) {
    const source = readFileSync(root + file, "utf8");
    for (const match of source.matchAll(/["'`]\[([A-Z]+\d+)\] /g)) found.set(match[1]!, file);
  }
  return found;
}

test("[SP1] every rule of SPEC.md is written once and carried by a test", () => {
  const rules = rulesInSpec();
  expect(rules.length).toBeGreaterThan(50);
  expect(rules.filter((rule, i) => rules.indexOf(rule) !== i)).toEqual([]);
  const tested = rulesInTests();
  expect(rules.filter((rule) => !tested.has(rule))).toEqual([]);
});

test("[SP2] every rule that a test carries is in SPEC.md", () => {
  const rules = new Set(rulesInSpec());
  const strangers = [...rulesInTests()].filter(([rule]) => !rules.has(rule));
  expect(strangers).toEqual([]);
});

test("[SP3] every test begins with the rule it holds", () => {
  const files = execFileSync("git", ["ls-files", "-co", "--exclude-standard", "--", "*.test.ts"], {
    cwd: root,
    encoding: "utf8",
  });
  const nameless: string[] = [];
  for (const file of new Set(files.split("\n").filter(Boolean))) {
    const source = readFileSync(root + file, "utf8");
    for (const match of source.matchAll(
      /^\s*(?:test|it)(?:\.each\([^)]*\)|\.skipIf\([^)]*\)|\.runIf\([^)]*\))?\(\s*(["'`])(?!\[[A-Z]+\d+\])(.*)$/gm,
    )) {
      nameless.push(`${file}: ${match[2]!}`);
    }
  }
  expect(nameless).toEqual([]);
});
