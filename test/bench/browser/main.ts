/**
 * `npm run bench:browser -- [--mini] [--section NAME]`: training in Chromium against training in Node, how long a
 * round blocks a page, and what a page loads. JSON on stdout; nothing here passes or fails.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import type * as playwright from "playwright-core";

import { findChromium, HOW_TO_GET_CHROMIUM } from "../../../chromium.mjs";
import { benchBlocking } from "./blocking.ts";
import { benchSpeed } from "./speed.ts";
import { buildSite, serveSite, weighSite } from "./site.ts";

/** Required, since jiti, which runs this file, cannot take it apart. */
const { chromium } = createRequire(import.meta.url)("playwright-core") as typeof playwright;

const { values } = parseArgs({
  options: {
    mini: { type: "boolean", default: false },
    section: { type: "string", multiple: true },
  },
});
const SECTIONS = ["sizes", "speed", "blocking"];
const wanted = values.section ?? SECTIONS;
const unknown = wanted.find((name) => !SECTIONS.includes(name));
if (unknown !== undefined) {
  throw new Error(`no section "${unknown}"; there are ${SECTIONS.join(", ")}`);
}

const outDir = await mkdtemp(join(tmpdir(), "tributary-bench-"));
const sections: Record<string, unknown> = {};
try {
  await buildSite(outDir);
  if (wanted.includes("sizes")) sections.sizes = await weighSite(outDir);
  if (wanted.includes("speed") || wanted.includes("blocking")) await inChromium();
} finally {
  await rm(outDir, { recursive: true, force: true });
}

async function inChromium(): Promise<void> {
  const executablePath = findChromium();
  if (executablePath === undefined) throw new Error(`no Chromium: ${HOW_TO_GET_CHROMIUM}`);
  await using site = await serveSite(outDir);
  const browser = await chromium.launch({
    executablePath,
    args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
  });
  try {
    sections.chromium = browser.version();
    if (wanted.includes("speed")) {
      sections.speed = await benchSpeed(browser, site.origin, values.mini);
    }
    if (wanted.includes("blocking")) {
      sections.blocking = await benchBlocking(browser, site.origin, values.mini);
    }
  } finally {
    await browser.close();
  }
}

const machine = {
  node: process.version,
  cpus: cpus().length,
  cpu: cpus()[0]?.model,
  /** Of the last minute, at the end: what else the machine did. */
  load: loadavg()[0],
};
process.stdout.write(`${JSON.stringify({ machine, mini: values.mini, sections }, null, 2)}\n`);
