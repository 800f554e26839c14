/** The dashboard as it is served, built anew where its source is newer: tests look at what the source says. */

import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "vite";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const DASHBOARD = join(ROOT, "coordinator/dashboard");
const BUILT = join(ROOT, "coordinator/dist/dashboard/index.html");
/** What goes into it. */
const SOURCES = [DASHBOARD, join(ROOT, "protocol/src"), join(ROOT, "package-lock.json")];

export async function buildDashboard(): Promise<void> {
  const builtAt = await stat(BUILT).then(
    ({ mtimeMs }) => mtimeMs,
    () => 0,
  );
  const changedAt = Math.max(...(await Promise.all(SOURCES.map(newestIn))));
  if (changedAt < builtAt) return;
  await build({ configFile: join(DASHBOARD, "vite.config.ts"), logLevel: "warn" });
}

/** When anything in the folder, or the file itself, changed last. */
async function newestIn(path: string): Promise<number> {
  const found = await stat(path);
  if (!found.isDirectory()) return found.mtimeMs;
  const names = await readdir(path, { recursive: true });
  const times = await Promise.all(
    names.map(async (name) => (await stat(join(path, name))).mtimeMs),
  );
  return Math.max(found.mtimeMs, ...times);
}
