/**
 * `npm run bench -- [--mini] [--section NAME] [--json FILE]`: how fast Tributary is. Tables on stderr, JSON on
 * stdout or in the file. Goals that are missed are told and fail nothing; a section that breaks does. A full run is
 * kept in `test/bench/RESULTS.md` and `RESULTS.json`. It runs from source,
 * as parts that no package exports are measured, too; servers that are compared with others run as they are built.
 */

import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { measureSection } from "./measure-section.ts";
import type { SectionReport } from "./report.ts";
import { commitOf, describeMachine, loadNow } from "./report.ts";
import { SECTIONS } from "./sections.ts";
import { renderGoals, renderReport, renderSection } from "./table.ts";

const BENCH = new URL("../", import.meta.url);

const { values } = parseArgs({
  options: {
    mini: { type: "boolean", default: false },
    section: { type: "string", multiple: true },
    json: { type: "string" },
  },
});
const wanted = values.section ?? SECTIONS.map(({ name }) => name);
const unknown = wanted.find((name) => !SECTIONS.some((section) => section.name === name));
if (unknown !== undefined) {
  const known = SECTIONS.map(({ name }) => name).join(", ");
  throw new Error(`no section "${unknown}"; there are ${known}`);
}

const machine = describeMachine();
const date = new Date().toISOString();
const sections: SectionReport[] = [];
for (const section of SECTIONS.filter(({ name }) => wanted.includes(name))) {
  const report = await measureSection(section, { mini: values.mini });
  process.stderr.write(`\n${renderSection(report)}\n`);
  sections.push(report);
}
process.stderr.write(`\n## Goals\n\n${renderGoals(sections)}\n`);

const command = ["npm run bench", ...(process.argv.length > 2 ? ["--"] : [])].concat(
  process.argv.slice(2),
);
const commit = commitOf(fileURLToPath(BENCH));
const report = {
  date,
  command: command.join(" "),
  ...(commit === undefined ? {} : { commit }),
  machine,
  loadAfter: loadNow(),
  sections,
};
const json = `${JSON.stringify(report, null, 2)}\n`;
if (values.json === undefined) process.stdout.write(json);
else await writeFile(values.json, json);
if (!values.mini && values.section === undefined) {
  await writeFile(new URL("RESULTS.json", BENCH), json);
  await writeFile(new URL("RESULTS.md", BENCH), renderReport(report));
}
if (sections.some(({ failure }) => failure !== undefined)) process.exitCode = 1;
