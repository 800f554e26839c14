import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { describe, expect, test } from "vitest";

const HERE = new URL("./", import.meta.url);
const PROTOCOL = new URL("../../../protocol/src/index.ts", import.meta.url);

/** Threads and kernels, which other pure layers have, too. */
const SHARED = ["../thread.ts", "../wasm.ts"].map((name) => new URL(name, HERE).href);
const ROOT = fileURLToPath(new URL("../../../", HERE));

/** Inside the repository, where packages are found by name, and no tool looks. */
async function temporaryFolder() {
  const path = await mkdtemp(join(ROOT, "node_modules", ".readme-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

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

  test("[DP24] nothing of the service, and of node nothing but randomness and threads", () => {
    const files = reachable([new URL("index.ts", HERE)]);
    expect(files.size).toBeGreaterThan(20);
    const protocol = new URL("./", PROTOCOL).href;
    const modules = new Set<string>();
    for (const [file, code] of files) {
      const allowed = [HERE.href, protocol, ...SHARED];
      expect(
        allowed.some((place) => file.startsWith(place)),
        file,
      ).toBe(true);
      for (const [, name = ""] of code.matchAll(/(?:from|import)\s*\(?\s*"([^."][^"]*)"/g)) {
        modules.add(name);
      }
    }
    modules.delete("@tributary/protocol");
    for (const name of modules) {
      expect(name).toMatch(/^node:(crypto|module|url|timers\/promises|worker_threads)$/);
    }
  });

  test("[DP24] the example of its README runs, and prints what it says", async () => {
    const readme = readFileSync(new URL("README.md", HERE), "utf8");
    const [, code = ""] = /```js\n([^]*?)```/.exec(readme) ?? [];
    const said = [...code.matchAll(/console\.log\(.*\); \/\/ (.*)/g)].map(([, line]) => line);
    expect(said.length).toBe(3);
    // As a file of its own, which imports the package by its name.
    await using folder = await temporaryFolder();
    const file = join(folder.path, "example.ts");
    await writeFile(file, code);
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ["--conditions=@tributary/source", "--import=jiti/register", file],
      { cwd: ROOT, timeout: 60_000, killSignal: "SIGKILL" },
    );
    expect(stdout.trim().split("\n")).toEqual(said);
  }, 60_000);

  test("[NS7] no parameter, option or field is a seed", () => {
    for (const file of own) expect(codeOf(file), file.href).not.toMatch(/seed/i);
  });
});
