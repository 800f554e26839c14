import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { expect, test } from "vitest";

import type { AccountantFigures } from "./accountant.ts";
import type { NoiseReport } from "./noise.ts";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const MAIN = fileURLToPath(new URL("./main.ts", import.meta.url));

test("[NS9] the benchmark measures every kind of noise, and numpy's where there is numpy", async () => {
  const source = ["--conditions=@tributary/source", "--import=jiti/register", MAIN];
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [...source, "--mini", "--section", "noise"],
    { cwd: ROOT, timeout: 100_000, killSignal: "SIGKILL" },
  );
  const { sections } = JSON.parse(stdout) as { sections: { noise: NoiseReport } };
  const { cases, fastOverNumpy } = sections.noise;
  const names = cases.map(({ name }) => name);
  expect(names.slice(0, 3)).toEqual(["fast (SIMD)", "fast (plain)", "exact (thread)"]);
  expect(names.length).toBe(fastOverNumpy === undefined ? 3 : 4);
  for (const { perWallSecond, perCpuSecond, samples } of cases) {
    expect(samples).toBeGreaterThan(0);
    for (const { median, min, max } of [perWallSecond, perCpuSecond]) {
      expect(min).toBeGreaterThan(0);
      expect(min <= median && median <= max).toBe(true);
    }
  }
});

test("[DP23] the benchmark measures the accountant, with median and worst and the setting of the worst", async () => {
  const source = ["--conditions=@tributary/source", "--import=jiti/register", MAIN];
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [...source, "--mini", "--section", "accountant"],
    { cwd: ROOT, timeout: 100_000, killSignal: "SIGKILL" },
  );
  const { sections } = JSON.parse(stdout) as { sections: { accountant: AccountantFigures[] } };
  const names = sections.accountant.map(({ name }) => name);
  expect(names).toEqual(["rdp", "odometer step", "pld", "calibration"]);
  for (const { settings, medianWallMs, medianCpuMs, worst } of sections.accountant) {
    expect(settings).toBeGreaterThan(0);
    expect(medianWallMs).toBeGreaterThan(0);
    expect(worst.cpuMs).toBeGreaterThanOrEqual(medianCpuMs);
    expect(worst.setting).toMatchObject({ q: expect.any(Number), T: expect.any(Number) });
  }
});
