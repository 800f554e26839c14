/** A real browser for tests: Debian's Chromium, driven by Playwright, with a profile of its own. */

import type { ChildProcessByStdio } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";

import type { Browser, BrowserContext } from "playwright-core";
import { chromium } from "playwright-core";
import { afterAll, beforeAll } from "vitest";

import { findChromium, HOW_TO_GET_CHROMIUM } from "../../chromium.mjs";
import type { PageServer } from "./page-server.ts";
import type { Functions, TestPage } from "./test-page.ts";
import { openTestPage } from "./test-page.ts";

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

type PersistentOptions = NonNullable<Parameters<typeof chromium.launchPersistentContext>[1]>;
type ContextOptions = NonNullable<Parameters<Browser["newContext"]>[0]>;

const launchOptions = () => {
  const executablePath = findChromium();
  if (executablePath === undefined) throw new Error(`no Chromium: ${HOW_TO_GET_CHROMIUM}`);
  return { executablePath, headless: true, args: FLAGS };
};

/**
 * A browser whose profile lies in a folder of its own, removed with it.
 * @throws Error when no Chromium can be found
 */
export async function openBrowser(options: PersistentOptions = {}): Promise<TestBrowser> {
  const launch = launchOptions();
  const profile = await mkdtemp(join(tmpdir(), "tributary-browser-"));
  const context = await chromium.launchPersistentContext(profile, { ...launch, ...options });
  const close = async () => {
    await context.close();
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  };
  return { context, close, [Symbol.asyncDispose]: close };
}

/** One person's tabs: they share storage, locks and network. Gone with everything in it when it is closed. */
export interface Profile extends AsyncDisposable {
  readonly context: BrowserContext;
  /** A tab with `/name` of this server. */
  open<F extends Functions>(server: PageServer, name: string): Promise<TestPage<F>>;
  setOffline(offline: boolean): Promise<void>;
}

const profileOf = (context: BrowserContext, close: () => Promise<void>): Profile => ({
  context,
  open: (server, name) => openTestPage(context, server.url(name)),
  setOffline: (offline) => context.setOffline(offline),
  [Symbol.asyncDispose]: close,
});

/**
 * One browser for all tests of a file, started before the first and ended after the last, whatever becomes of
 * them. To be called once, outside tests.
 */
export function shareBrowser(): { newProfile(options?: ContextOptions): Promise<Profile> } {
  let browser: Browser | undefined;
  beforeAll(async () => {
    browser = await chromium.launch(launchOptions());
  });
  afterAll(async () => {
    await browser?.close();
  });
  return {
    newProfile: async (options = {}) => {
      if (browser === undefined) throw new Error("profiles are opened in tests");
      const context = await browser.newContext(options);
      return profileOf(context, () => context.close());
    },
  };
}

/**
 * A browser of its own with tabs as people have them: one is in sight, and the others know that they are not.
 * (Playwright makes every page believe that it is in sight, except in a browser that it finds running.)
 */
export async function openTabs(): Promise<Profile> {
  const { executablePath } = launchOptions();
  const folder = await mkdtemp(join(tmpdir(), "tributary-browser-"));
  const child = spawn(
    executablePath,
    ["--headless", "--remote-debugging-port=0", `--user-data-dir=${folder}`, ...FLAGS],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  // Whatever becomes of the test, no browser outlives it.
  const killAtExit = () => child.kill("SIGKILL");
  process.once("exit", killAtExit);
  const exited = once(child, "exit");
  const close = async () => {
    child.kill("SIGKILL");
    await exited;
    process.off("exit", killAtExit);
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    const browser = await chromium.connectOverCDP(await addressOf(child), { noDefaults: true });
    const [context] = browser.contexts();
    if (context === undefined) throw new Error("the browser has no profile");
    return profileOf(context, async () => {
      await browser.close();
      await close();
    });
  } catch (error) {
    await close();
    throw error;
  }
}

/** Where Chromium says that it listens. */
function addressOf({ stderr }: ChildProcessByStdio<null, null, Readable>) {
  return new Promise<string>((resolve, reject) => {
    let output = "";
    stderr.on("data", (chunk) => {
      output += String(chunk);
      const [, address] = /DevTools listening on (ws:\S+)/.exec(output) ?? [];
      if (address !== undefined) resolve(address);
    });
    stderr.on("end", () => reject(new Error(`Chromium ended: ${output}`)));
  });
}
