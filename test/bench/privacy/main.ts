/**
 * `npm run bench:privacy -- [--mini] [--section NAME]`: how fast privacy is. JSON on stdout. A section is one file,
 * with its outside reference in the same run where this machine has one; nothing here passes or fails.
 */

import { cpus } from "node:os";
import { parseArgs } from "node:util";

import { benchAccountant } from "./accountant.ts";
import { benchNoise } from "./noise.ts";

/** A new section gets its line here; `mini` is for seeing that it runs. */
const SECTIONS: Readonly<Record<string, (mini: boolean) => Promise<unknown>>> = {
  accountant: async (mini) => benchAccountant(mini),
  noise: (mini) =>
    benchNoise(
      mini
        ? { fast: 100_000, exact: 10_000, runs: 1 }
        : { fast: 10_000_000, exact: 5_000_000, runs: 9 },
    ),
};

const { values } = parseArgs({
  options: {
    mini: { type: "boolean", default: false },
    section: { type: "string", multiple: true },
  },
});
const wanted = values.section ?? Object.keys(SECTIONS);
const sections: Record<string, unknown> = {};
for (const name of wanted) {
  const bench = SECTIONS[name];
  if (bench === undefined) {
    throw new Error(`no section "${name}"; there are ${Object.keys(SECTIONS).join(", ")}`);
  }
  sections[name] = await bench(values.mini);
}
const machine = { node: process.version, cpus: cpus().length, cpu: cpus()[0]?.model };
process.stdout.write(`${JSON.stringify({ machine, mini: values.mini, sections }, null, 2)}\n`);
