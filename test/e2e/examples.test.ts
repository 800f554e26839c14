import type { ChildProcessByStdio } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";

import { expect, test } from "vitest";

/** Runs a built example to its end. */
const run = (example: string, ...args: string[]) => start(example, args).ended;

/** Starts a built example; `said` resolves with the first match of what it writes. */
function start(example: string, args: readonly string[]) {
  const main = fileURLToPath(new URL(`../../examples/${example}/dist/main.js`, import.meta.url));
  const child = spawn(process.execPath, [main, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  const ended = outputOf(child);
  const said = (wanted: RegExp) =>
    new Promise<string>((resolve, reject) => {
      let text = "";
      child.stdout.on("data", (chunk) => {
        text += String(chunk);
        const match = wanted.exec(text);
        if (match !== null) resolve(match[0]);
      });
      child.once("close", () => reject(new Error(`it never said ${String(wanted)}: ${text}`)));
    });
  return { ended, said };
}

async function outputOf(child: ChildProcessByStdio<null, Readable, Readable>) {
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

test("[DX6] digits-browser says where its page is, trains with its Node clients, and ends after its rounds", async () => {
  const few = ["--port", "0", "--clients", "2", "--images", "50", "--pause", "0"];
  const { code, output } = await run("digits-browser", ...few, "--rounds", "2", "--exit");
  expect(output).toMatch(/Draw digits and train along: +http:\/\/127\.0\.0\.1:\d+\//);
  expect(output).toMatch(/round 2: 2 clients, accuracy \d+\.\d %/);
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
  const { ended, said } = start("digits", [...options, "--exit"]);
  // Whoever opens the address sees the training that runs, without a token.
  const dashboard = await said(/http:\S+\/dashboard$/m);
  const headers = { accept: "text/html" };
  const page = await fetch(dashboard, { headers });
  expect(await page.text()).toContain('<div id="app">');
  const tasks = (await (await fetch(new URL("/v1/tasks", dashboard))).json()) as {
    items: object[];
  };
  expect(tasks.items).toMatchObject([{ state: "running", clientsWaiting: expect.any(Number) }]);
  const { code, output } = await ended;
  expect(output).toMatch(/model version 2 answers: \d/);
  const accuracies = [...output.matchAll(/(\d+\.\d+) %/g)].map((match) => Number(match[1]));
  expect(Math.max(...accuracies.slice(1, 3)), output).toBeGreaterThan(80);
  expect(code).toBe(0);
}, 240_000);
