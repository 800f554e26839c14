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

test("[LE6] the main job is private by default: 600 clients, epsilon beside accuracy, and the promise in words", async () => {
  const { code, output } = await run("digits", "--rounds", "2", "--epochs", "1", "--exit");
  expect(output).toContain("600 clients in 2 processes");
  const rows = [...output.matchAll(/^ +(\d+) +(\d+\.\d+) % .* (\d+\.\d+) +(\d+) % +(\d+)$/gm)];
  const [first, second] = rows.map((row) => row.slice(1).map(Number));
  if (first === undefined || second === undefined) expect.fail(output);
  expect([first[0], second[0]]).toEqual([1, 2]);
  // A guess is right in one of ten.
  expect(second[1], output).toBeGreaterThan(40);
  expect(second[2]).toBeGreaterThan(first[2]!);
  expect(second[4]).toBe(first[4]! - 1);
  const words = output.split(/\s+/).join(" ");
  expect(words).toContain(
    `Budget: 2 rounds cost epsilon ${second[2]!.toFixed(3)} of 4 at delta 0.0001`,
  );
  // Before training and after it.
  expect(words.split("Each client's whole contribution is protected")).toHaveLength(3);
  expect(code).toBe(0);
}, 240_000);

test("[EE5] the plain job learns digits over processes and serves its model by HTTP", async () => {
  const options = [
    "--no-dp",
    "--clients",
    "20",
    "--cohort",
    "4",
    "--rounds",
    "2",
    "--processes",
    "2",
  ];
  const { code, output } = await run("digits", ...options, "--exit");
  expect(output).toMatch(/model version 2 answers: \d/);
  const accuracies = [...output.matchAll(/(\d+\.\d+) %/g)].map((match) => Number(match[1]));
  expect(Math.max(...accuracies.slice(1, 3)), output).toBeGreaterThan(80);
  expect(code).toBe(0);
}, 240_000);
