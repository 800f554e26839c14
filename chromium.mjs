/**
 * Where a Chromium for tests in a real browser is, and how to get Debian's where there is none.
 * `setup.mjs --chromium` and the tests themselves ask here.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";

const PLACES = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/** How somebody without one gets it. */
export const HOW_TO_GET_CHROMIUM =
  "install the package `chromium`, or name a Chromium or Chrome in TRIBUTARY_CHROMIUM";

/** Chromium's path: `TRIBUTARY_CHROMIUM` (empty: none), or where systems put it; undefined where there is none. */
export function findChromium() {
  const named = process.env.TRIBUTARY_CHROMIUM;
  if (named !== undefined) return named === "" ? undefined : named;
  return PLACES.find((path) => existsSync(path));
}

/** True where tests must not be skipped for want of a browser. */
export function isChromiumRequired() {
  return process.env.TRIBUTARY_REQUIRE_CHROMIUM === "1";
}

/** True where Debian's package can be installed without asking anybody: as root, with apt-get, and none named. */
export function canInstallChromium() {
  if (process.env.TRIBUTARY_CHROMIUM !== undefined) return false;
  const apt = spawnSync("apt-get", ["--version"], { stdio: "ignore" });
  return process.getuid?.() === 0 && apt.status === 0;
}

/** @returns what went wrong,, in the words of apt-get; undefined when it is installed */
export function installChromium() {
  const apt = (...args) =>
    spawnSync("apt-get", ["-qq", "-o", "Acquire::Retries=2", ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      encoding: "utf8",
      timeout: 600_000,
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    });
  // The lists of a fresh machine are empty or old; where they cannot be renewed, they may still do.
  apt("update");
  const { status, stderr, error } = apt("install", "-y", "--no-install-recommends", "chromium");
  return status === 0 ? undefined : (error?.message ?? stderr.trim().split("\n").at(-1));
}
