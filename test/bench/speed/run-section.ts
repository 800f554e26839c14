/** Runs one section in the process that `measure-apart.ts` made for it, and sends what came out. */

import { SECTIONS } from "./sections.ts";

const [name, size] = process.argv.slice(2);
const section = SECTIONS.find((one) => one.name === name);
if (section === undefined) throw new Error(`no section "${String(name)}"`);
const result = await section.run(size === "mini");
process.send?.(result, () => {
  // What a section left open must not hold the others up.
  process.exit(0);
});
