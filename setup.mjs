/**
 * Makes a fresh clone ready: installs what package-lock.json names and builds the packages; with `--chromium`
 * also a browser for the tests, where there is none and it may.
 * `npm start` and `npm test` run it first; it does nothing that is done already.
 */
import { spawnSync } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";

import {
  canInstallChromium,
  findChromium,
  HOW_TO_GET_CHROMIUM,
  installChromium,
  isChromiumRequired,
} from "./chromium.mjs";

const root = fileURLToPath(new URL(".", import.meta.url));
const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`Tributary needs Node 20.19 or newer, this is ${process.version}.`);
  process.exit(1);
}

function run(command, args, env = {}) {
  const result = spawnSync(command, args, {
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"],
    encoding: "utf8",
    env: { ...process.env, ...env },
  });
  if (result.status === 0) return;
  process.stderr.write(`${result.stdout ?? ""}${result.stderr ?? ""}`);
  console.error(`${command} ${args.join(" ")} failed`);
  process.exit(result.status ?? 1);
}

// npm writes this file at the end of every install.
const installed = new URL("node_modules/.package-lock.json", import.meta.url);
const lock = new URL("package-lock.json", import.meta.url);
if (!existsSync(installed) || statSync(installed).mtimeMs < statSync(lock).mtimeMs) {
  console.error("Installing packages (once, about half a minute) …");
  run("npm", ["ci", "--no-audit", "--no-fund"]);
}

console.error("Building …");
run(
  process.execPath,
  [
    fileURLToPath(new URL("node_modules/turbo/bin/turbo", import.meta.url)),
    "run",
    "build",
    "--output-logs=errors-only",
  ],
  {
    TURBO_TELEMETRY_DISABLED: "1",
    TURBO_NO_UPDATE_NOTIFIER: "1",
  },
);

if (process.argv.includes("--chromium") && findChromium() === undefined) {
  if (canInstallChromium()) {
    console.error("Installing Chromium for the tests in a real browser (once, some minutes) …");
    const fault = installChromium();
    if (fault !== undefined) console.error(`Chromium could not be installed: ${fault}`);
  }
  // Without it the tests say themselves what they skip.
  if (findChromium() === undefined && isChromiumRequired()) {
    console.error(`A Chromium is required here: ${HOW_TO_GET_CHROMIUM}.`);
    process.exit(1);
  }
}
