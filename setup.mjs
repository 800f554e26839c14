/**
 * Makes a fresh clone ready: installs what package-lock.json names and builds the packages.
 * `npm start` and `npm test` run it first; it does nothing that is done already.
 */
import { spawnSync } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";

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
