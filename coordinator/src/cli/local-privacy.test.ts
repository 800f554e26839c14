import { epsilonOfGaussian } from "@tributary/protocol";
import { expect, test } from "vitest";

import { localLine } from "./local-privacy.ts";
import { runCli } from "./run.ts";

async function local(...args: string[]) {
  let out = "";
  let err = "";
  const exit = await runCli(["privacy", "local", ...args], {
    stdout: { write: (text) => (out += text) },
    stderr: { write: (text) => (err += text) },
    env: {},
    cwd: ".",
    isTTY: false,
  });
  return { exit, out, err };
}
const plan = ["--delta", "1e-5", "--rounds", "10"];

test("[LD14] privacy local gives the noise for an epsilon and the epsilon of noise, in words and JSON", async () => {
  const calibrated = await local(...plan, "--target-epsilon", "4", "--json");
  expect(calibrated.exit).toBe(0);
  const cost = JSON.parse(calibrated.out) as Record<string, number>;
  expect(Object.keys(cost).sort()).toEqual(
    ["accountant", "delta", "epsilon", "noiseMultiplier", "rounds", "targetEpsilon"].sort(),
  );
  expect(cost.epsilon).toBeLessThanOrEqual(4);
  const back = await local(...plan, "--noise-multiplier", String(cost.noiseMultiplier), "--json");
  expect(JSON.parse(back.out)).toMatchObject({
    epsilon: cost.epsilon,
    accountant: "exact-gaussian",
  });
  expect(cost.epsilon).toBe(epsilonOfGaussian(Math.sqrt(10) / cost.noiseMultiplier!, 1e-5));
  const words = await local(...plan, "--noise-multiplier", "3");
  const shown = Number(/epsilon (\S+) at/.exec(words.out)?.[1]);
  expect(shown).toBeGreaterThanOrEqual(epsilonOfGaussian(Math.sqrt(10) / 3, 1e-5));
});

test("[LD14] privacy local wants one of the two, and numbers that can be", async () => {
  for (const wrong of [
    [...plan],
    [...plan, "--target-epsilon", "4", "--noise-multiplier", "3"],
    [...plan, "--target-epsilon", "0"],
    ["--delta", "1", "--rounds", "1", "--target-epsilon", "1"],
    ["--delta", "1e-5", "--rounds", "0", "--target-epsilon", "1"],
    ["--rounds", "1", "--target-epsilon", "1"],
    ["--delta", "1e-5", "--rounds", "1", "--noise-multiplier", "1e-200"],
  ]) {
    const { exit, out, err } = await local(...wrong);
    expect(exit, wrong.join(" ")).not.toBe(0);
    expect(out).toBe("");
    expect(err).not.toContain("    at ");
  }
});

test("[LD14] a local task is shown with what one update and all of a client's cost", () => {
  const line = localLine({
    taskId: "t" as never,
    mechanism: "local",
    unit: "client",
    adjacency: "replace-one",
    accountant: "exact-gaussian",
    noiseMultiplier: 5,
    clippingNorm: 1,
    delta: 1e-5,
    maxEpsilon: 4,
    epsilonPerUpdate: 0.70001,
    updatesPerClient: 20,
    statement: "",
  });
  expect(line).toBe(
    "t: local noise, epsilon 0.70001 for one update and at most 4 for a client's 20 updates at delta 0.00001; " +
      "each client keeps its own account",
  );
});
