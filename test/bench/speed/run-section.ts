/** Runs one section in the process that was made for it. */

import { answer } from "./apart.ts";
import { SECTIONS } from "./sections.ts";

const [name, size] = process.argv.slice(2);
const section = SECTIONS.find((one) => one.name === name);
if (section === undefined) throw new Error(`no section "${String(name)}"`);
answer(await section.run(size === "mini"));
