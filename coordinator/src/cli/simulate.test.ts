import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, expect, test, vi } from "vitest";

import type { SimulationResult } from "../simulation/index.ts";
import { EXIT } from "./failure.ts";
import type { CliIo } from "./io.ts";
import { runCli } from "./run.ts";

const TASK = {
  taskId: "t",
  model: { tensors: [{ name: "w", shape: [4] }] },
  sampler: { kind: "all" },
  schedule: { minClients: 6, minReports: 2 },
  stop: { maxRounds: 3 },
};
/** Clients that add their number to each weight. */
const CLIENTS = `export const clients = ({ layout }) => ({
  size: 6,
  trainer: (index) => ({
    train: async ({ weights }) => ({
      weights: weights.map((weight) => weight + index),
      numExamples: 1,
      metrics: { trainLoss: 1 / (1 + weights[0]) },
    }),
  }),
  initialWeights: new Float32Array(layout.parameterCount).fill(1),
});`;

let cwd: string;
let out: string;
let err: string;

beforeEach(async () => {
  cwd = await mkdtemp(join(tmpdir(), "tributary-simulate-"));
  out = err = "";
  await writeFile(join(cwd, "task.json"), JSON.stringify(TASK));
  await writeFile(join(cwd, "clients.mjs"), CLIENTS);
});
afterEach(() => rm(cwd, { recursive: true }));

const run = (args: readonly string[], io: Partial<CliIo> = {}) =>
  runCli(["simulate", ...args, "--threads", "1"], {
    stdout: { write: (text) => void (out += text) },
    stderr: { write: (text) => void (err += text) },
    ...{ env: {}, cwd, isTTY: false },
    ...io,
  });
const result = () => JSON.parse(out) as Pick<SimulationResult, "report" | "pace">;

test("[SI10] a task and a module of clients become a table, round after round on standard error", async () => {
  expect(await run(["task.json", "--clients", "clients.mjs"])).toBe(EXIT.ok);
  expect(out).toMatch(/ROUND {2}STATE.*\n {4}1 {2}committed {6}6\/6/);
  expect(out).toMatch(/ended +maxRoundsReached\n/);
  expect(out).toMatch(/rounds +3 committed, 0 abandoned\n/);
  for (const line of out.split("\n")) expect(line.length).toBeLessThan(100);
  expect(err.split("\n").filter((line) => /^round \d {2}committed/.test(line))).toHaveLength(3);
});

test("[SI10] report and pace as JSON, the same report for the same seed", async () => {
  const args = ["task.json", "--clients", "clients.mjs", "--json", "--seed", "5"];
  expect(await run(args)).toBe(EXIT.ok);
  const first = result();
  expect(err).toBe("");
  expect(first.report).toMatchObject({
    ...{ kind: "simulation", seed: 5, clients: 6, problem: "module" },
    end: { kind: "taskEnded", reason: "maxRoundsReached" },
    totals: { committed: 3, counted: 18 },
  });
  // The mean of 0 to 5 is added each time, from 1 on.
  const losses = first.report.rounds.map(({ trainLoss = NaN }) => trainLoss.toFixed(9));
  expect(losses).toEqual([1 / 2, 1 / 4.5, 1 / 7].map((loss) => loss.toFixed(9)));
  expect(first.pace.threads).toBe(1);
  out = "";
  await run(args);
  expect(result().report).toEqual(first.report);
});

test("[SI11] rounds that come to nothing are an exit code of their own, said in words and in the JSON", async () => {
  await writeFile(join(cwd, "dead.json"), '{"dropOut":{"training":1,"silentShare":1}}');
  const args = ["task.json", "--clients", "clients.mjs", "--behaviour", "dead.json"];
  expect(await run([...args, "--json"])).toBe(EXIT.stalled);
  expect(result().report).toMatchObject({
    end: { kind: "stalled", abandonedInARow: 20 },
    stall: { code: "SIMULATION_STALLED", abandoned: { tooFewReports: 20 } },
  });
  const told =
    "error: SIMULATION_STALLED no round was committed: 20 rounds in a row were abandoned (tooFewReports 20); schedule.minReports is 2, and at best 0 of 6 places reported within schedule.reportWindowMs 300000\n";
  expect(err).toBe(told);
  out = err = "";
  expect(await run(args)).toBe(EXIT.stalled);
  expect(out).toContain("stalled: 20 rounds in a row were abandoned");
  expect(err.endsWith(told)).toBe(true);
  out = err = "";
  // The time is up before anything is committed: as little has come of it.
  expect(await run([...args, "--days", "0.001"])).toBe(EXIT.stalled);
  expect(err).toContain("no round was committed: the time was up before a round ended");
});

test("[SI10] what clients print leaves standard output to the result", async () => {
  const printing = CLIENTS.replace("size: 6", 'size: (console.log("printed by clients"), 6)');
  await writeFile(join(cwd, "clients.mjs"), printing);
  const printed = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    vi.spyOn(process[name], "write").mockImplementation((text) => {
      printed[name] += String(text);
      return true;
    });
  }
  try {
    expect(await run(["task.json", "--clients", "clients.mjs", "--json"])).toBe(EXIT.ok);
  } finally {
    vi.restoreAllMocks();
  }
  expect(printed).toEqual({
    stdout: "",
    stderr: expect.stringContaining("printed by clients") as string,
  });
});

test("[SI10] on 80 columns a round's state is whole", async () => {
  expect(await run(["task.json", "--clients", "clients.mjs"])).toBe(EXIT.ok);
  const lines = out.split("\n").slice(0, 4);
  expect(lines[0]).not.toMatch(/ACCURACY|EPSILON/);
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(80);
});

test("[SI10] a module may bring task and clients; without clients there are synthetic ones, which is told", async () => {
  await writeFile(
    join(cwd, "both.mjs"),
    `export const spec = ${JSON.stringify(TASK)};\n${CLIENTS}`,
  );
  expect(await run(["both.mjs", "--rounds", "1", "--json"])).toBe(EXIT.ok);
  expect(result().report).toMatchObject({ problem: "module", totals: { committed: 1 } });
  out = "";
  expect(await run(["task.json", "--rounds", "1"])).toBe(EXIT.ok);
  expect(out).toMatch(/The clients were synthetic/);
  expect(out).toMatch(/clients +18, of which/);
});

test("[SI10] under privacy the output says that nothing is private, and what a real run would have spent", async () => {
  const task = {
    ...TASK,
    sampler: { kind: "poisson", samplingRate: 0.5, population: 20 },
    schedule: {},
    clippingNorm: 1,
    privacy: { mechanism: "central", noiseMultiplier: 2, delta: 1e-3, maxEpsilon: 10 },
  };
  await writeFile(join(cwd, "private.json"), JSON.stringify(task));
  expect(await run(["private.json"])).toBe(EXIT.ok);
  expect(out).toMatch(
    /Nothing of this simulation is private: .* would have spent epsilon \d.* of 10/,
  );
});

test("[SI10] a behaviour decides who drops out", async () => {
  await writeFile(join(cwd, "bad.json"), JSON.stringify({ dropOut: { training: 1 } }));
  expect(await run(["task.json", "--behaviour", "bad.json", "--days", "1", "--json"])).toBe(
    EXIT.stalled,
  );
  expect(result().report.totals).toMatchObject({ committed: 0, counted: 0 });
});

test("[SI10] on a terminal one line is drawn again in place, and is gone in the end", async () => {
  const io = { isTTY: true, size: () => ({ columns: 60, rows: 20 }) };
  expect(await run(["task.json", "--clients", "clients.mjs"], io)).toBe(EXIT.ok);
  const frames = err.split("\r\u001b[K").slice(1);
  expect(frames[0]).toMatch(/^░{24} {2}0\/3 rounds/);
  expect(frames.at(-1)).toBe("");
  for (const frame of frames) expect(frame.length).toBeLessThan(60);
});

test("[SI10] a terminal that tells no size has the line whole, to its unit", async () => {
  const io = { isTTY: true, size: () => ({ columns: 0, rows: 0 }) };
  expect(await run(["task.json", "--clients", "clients.mjs"], io)).toBe(EXIT.ok);
  expect(err.split("\r\u001b[K")[1]).toMatch(/ clients\/s$/);
});

test("[SI10] an interruption prints what there is, and says so by its exit code", async () => {
  const interruption = new AbortController();
  const stderr = {
    write: (text: string) => {
      err += text;
      if (text.startsWith("round 2 ")) interruption.abort();
    },
  };
  const code = await run(["task.json", "--clients", "clients.mjs"], {
    ...{ stderr, signal: interruption.signal },
  });
  expect(code).toBe(EXIT.interrupted);
  expect(out).toMatch(/rounds +2 committed/);
  expect(out).toMatch(/ended +interrupted/);
});

test("[SI10] bad files and settings are told with a code, and nothing is run", async () => {
  await writeFile(join(cwd, "none.mjs"), "export const people = 3;");
  await writeFile(join(cwd, "throws.mjs"), "throw new Error('no data');");
  await writeFile(join(cwd, "wrong.json"), JSON.stringify({ dropOut: { sleeping: 1 } }));
  const cases: [readonly string[], RegExp][] = [
    [["nowhere.json"], /CONFIG_INVALID cannot load .*nowhere\.json/],
    [["task.json", "--clients", "none.mjs"], /none\.mjs exports neither `clients` nor a default/],
    [["task.json", "--clients", "throws.mjs"], /cannot load .*throws\.mjs: no data/],
    [["task.json", "--behaviour", "wrong.json"], /dropOut\.sleeping is unknown/],
    [["task.json", "--clients", "clients.mjs", "--synthetic", "5"], /choose one/],
  ];
  for (const [args, message] of cases) {
    err = "";
    expect(await run(args)).toBe(EXIT.configInvalid);
    expect(err).toMatch(message);
  }
  expect(await run(["task.json", "--seed", "-1"])).toBe(EXIT.usage);
  expect(out).toBe("");
});
