import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

import { expect, test } from "vitest";

/** Runs a built example to its end. */
async function run(example: string, ...args: string[]): Promise<{ code: number; output: string }> {
  const main = fileURLToPath(new URL(`../../examples/${example}/dist/main.js`, import.meta.url));
  const child = spawn(process.execPath, [main, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk) => (output += String(chunk)));
  }
  const [code] = (await once(child, "close")) as [number];
  return { code, output };
}

test("[EE5] hello-round trains and serves in one process", async () => {
  const { code, output } = await run("hello-round");
  expect(output).toContain("10 -> 32.0");
  expect(code).toBe(0);
});

test("[EE5] the main job learns digits over processes and serves its model by HTTP", async () => {
  const options = ["--clients", "20", "--cohort", "4", "--rounds", "2", "--processes", "2"];
  const { code, output } = await run("digits", ...options, "--exit");
  expect(output).toMatch(/model version 2 answers: \d/);
  const accuracies = [...output.matchAll(/(\d+\.\d+) %/g)].map((match) => Number(match[1]));
  expect(Math.max(...accuracies.slice(1, 3)), output).toBeGreaterThan(80);
  expect(code).toBe(0);
}, 240_000);
