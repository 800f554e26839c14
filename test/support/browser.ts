/** A real browser for tests: Debian's Chromium, driven by Playwright, with a profile of its own. */

import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { BrowserContext } from "playwright-core";
import { chromium } from "playwright-core";

const CANDIDATES = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/** Chromium's path: `TRIBUTARY_CHROMIUM`, or where systems put it; undefined where there is none. */
export function findChromium(): string | undefined {
  const named = process.env.TRIBUTARY_CHROMIUM;
  return named ?? CANDIDATES.find((path) => existsSync(path));
}

/** Without a sandbox, since tests often run as root, and without a word to anybody's servers. */
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export interface TestBrowser extends AsyncDisposable {
  /** One profile: its pages share storage, locks and workers as the tabs of one person do. */
  readonly context: BrowserContext;
  close(): Promise<void>;
}

type ContextOptions = NonNullable<Parameters<typeof chromium.launchPersistentContext>[1]>;

/** @throws Error when no Chromium can be found */
export async function openBrowser(options: ContextOptions = {}): Promise<TestBrowser> {
  const executablePath = findChromium();
  if (executablePath === undefined) {
    throw new Error("no Chromium: install Debian's package, or name one in TRIBUTARY_CHROMIUM");
  }
  const profile = await mkdtemp(join(tmpdir(), "tributary-browser-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath,
    headless: true,
    args: FLAGS,
    ...options,
  });
  const close = async () => {
    await context.close();
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  };
  return { context, close, [Symbol.asyncDispose]: close };
}
