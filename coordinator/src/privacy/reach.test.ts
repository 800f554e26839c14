import { readdirSync, readFileSync } from "node:fs";

import { describe, expect, test } from "vitest";

const HERE = new URL("./", import.meta.url);
const PROTOCOL = new URL("../../../protocol/src/index.ts", import.meta.url);

/** Code without its comments and with what strings say. */
const codeOf = (file: URL): string =>
  readFileSync(file, "utf8")
    .replaceAll(/\/\*[^]*?\*\//g, "")
    .replaceAll(/^\s*\/\/.*$/gm, "");

/** Everything that is imported from here on, but from packages that are not ours. */
function reachable(from: readonly URL[]): Map<string, string> {
  const found = new Map<string, string>();
  const waiting = [...from];
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (found.has(file.href)) continue;
    const code = codeOf(file);
    found.set(file.href, code);
    for (const [, name = ""] of code.matchAll(/(?:from|import)\s*\(?\s*"([^"]+)"/g)) {
      if (name.startsWith(".")) waiting.push(new URL(name, file));
      if (name === "@tributary/protocol") waiting.push(PROTOCOL);
    }
  }
  return found;
}

const own = readdirSync(HERE, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"))
  .map((name) => new URL(name, HERE));

describe("what the privacy code can reach", () => {
  test("[NS7] no generator but the system's: no Math.random, no seeded one, no clock", () => {
    const files = reachable(own);
    expect(files.size).toBeGreaterThan(40);
    for (const [file, code] of files) {
      expect(code, file).not.toMatch(/Math\s*\.\s*random|Math\s*\[|createSeeded|mulberry|xorshift/);
    }
    for (const file of own) {
      expect(codeOf(file), file.href).not.toMatch(/Date\b|performance\b|process\.(pid|hrtime)/);
    }
  });

  test("[NS7] no parameter, option or field is a seed", () => {
    for (const file of own) expect(codeOf(file), file.href).not.toMatch(/seed/i);
  });
});
