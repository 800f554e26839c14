/** How long the accountant takes over the settings of the reference vectors: median, worst, and where that was. */

import { readFileSync } from "node:fs";

import {
  calibrateNoise,
  createRdpOdometer,
  epsilonOfGroups,
  renyiEpsilonOfGroups,
  sampledGaussian,
} from "@tributary/coordinator/privacy";

import { median } from "../speed/measure.ts";

export interface AccountantFigures {
  readonly name: string;
  readonly settings: number;
  readonly medianWallMs: number;
  /** Of all settings the slowest, by CPU time: other programs do not count in it. */
  readonly worst: { readonly cpuMs: number; readonly wallMs: number; readonly setting: object };
  readonly medianCpuMs: number;
}

interface Setting {
  readonly q: number;
  readonly sigma: number;
  readonly T: number;
  readonly delta: number;
}

interface Target extends Omit<Setting, "sigma"> {
  readonly target_epsilon: number;
}

/** From `dist` or from source. */
const VECTORS = new URL(
  import.meta.url.includes("/dist/") ? "../../../vectors/" : "../../vectors/",
  import.meta.url,
);

function vectors<Row>(name: string): Row[] {
  const text = readFileSync(new URL(`${name}.json`, VECTORS), "utf8");
  return (JSON.parse(text) as { vectors: Row[] }).vectors;
}

/** @param mini only every so many settings */
export function benchAccountant(mini: boolean): readonly AccountantFigures[] {
  const every = mini ? 60 : 1;
  const some = <Row>(rows: readonly Row[]) => rows.filter((_, i) => i % every === 0);
  const plans = some(vectors<Setting>("poisson_subsampled_gaussian"));
  const targets = some(vectors<Target>("calibrate_sigma"));
  // Curves are remembered, so each look asks for one that nobody has seen.
  let looks = 0;
  const unseen = (value: number) => value * (1 + 1e-12 * ++looks);
  const groups = ({ q, sigma, T }: Setting) => [
    { charge: sampledGaussian(unseen(sigma), q), count: T },
  ];
  const odometer = createRdpOdometer();
  return [
    timed("rdp", plans, (plan) => renyiEpsilonOfGroups(groups(plan), plan.delta)),
    timed("odometer step", plans, ({ q, sigma, delta }) => {
      odometer.add(sampledGaussian(unseen(sigma), q));
      odometer.epsilon(delta);
    }),
    timed("pld", plans, (plan) => epsilonOfGroups(groups(plan), plan.delta)),
    timed("calibration", targets, ({ q, T, delta, target_epsilon }) =>
      calibrateNoise({ targetEpsilon: target_epsilon, delta, samplingRate: q, rounds: T }),
    ),
  ];
}

function timed<Row extends object>(
  name: string,
  rows: readonly Row[],
  run: (row: Row) => unknown,
): AccountantFigures {
  // The first calls run before the engine has compiled anything.
  for (const row of rows.slice(0, 3)) run(row);
  const times = rows.map((setting) => {
    const before = process.cpuUsage();
    const start = performance.now();
    run(setting);
    const wallMs = performance.now() - start;
    const { user, system } = process.cpuUsage(before);
    return { cpuMs: (user + system) / 1_000, wallMs, setting };
  });
  const [worst] = times.toSorted((a, b) => b.cpuMs - a.cpuMs);
  if (worst === undefined) throw new Error(`there are no settings for "${name}"`);
  const { q, sigma, T, delta, target_epsilon } = worst.setting as Partial<Setting & Target>;
  return {
    name,
    settings: rows.length,
    medianWallMs: median(times.map(({ wallMs }) => wallMs)),
    medianCpuMs: median(times.map(({ cpuMs }) => cpuMs)),
    worst: { ...worst, setting: { q, sigma, T, delta, target_epsilon } },
  };
}
