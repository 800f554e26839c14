/** A page of `test/browser/pages` in a tab: its functions are called, what it tells is waited for, its faults fail the test. */

import type { BrowserContext, Page } from "playwright-core";
import { onTestFinished } from "vitest";

/** What a page exposes, see `expose` in `test/browser/pages/expose.ts`; arguments and answers are copied. */
export type Functions = Readonly<Record<string, (...args: never[]) => unknown>>;

/** Something a page has told with `tell(type, detail)`. */
export interface Told {
  readonly type: string;
  // Whatever the page sent; the test knows.
  readonly detail: never;
}

export interface TestPage<F extends Functions> extends AsyncDisposable {
  /** Playwright's own, for everything else. */
  readonly page: Page;
  /** In order, also from before a reload. */
  readonly told: readonly Told[];
  /** Calls a function of the page. @throws Error with `CODE: message` of what it threw */
  call<K extends keyof F & string>(
    name: K,
    ...args: Parameters<F[K]>
  ): Promise<Awaited<ReturnType<F[K]>>>;
  /** The first thing told with this type that `accept` accepts, past (from `since` on) or future. */
  until<T = unknown>(type: string, options?: UntilOptions<T>): Promise<T>;
  /** Faults like this are expected from now on: a coordinator that is gone shows in the console. */
  expectFaults(pattern: RegExp): void;
  /** Waits for a fault like this; neither it nor others like it fail the test. @throws Error when none comes */
  takeFault(pattern: RegExp, timeoutMs?: number): Promise<string>;
  close(): Promise<void>;
}

export interface UntilOptions<T> {
  readonly accept?: (detail: T) => boolean;
  /** Index in `told` of the first that counts. Default 0. */
  readonly since?: number;
  readonly timeoutMs?: number;
}

/**
 * Opens a tab. Unless expected, an error in the console (a violated policy is one), an error nobody caught, a
 * crash, also in the page's workers, fails the test when it ends.
 */
export async function openTestPage<F extends Functions>(
  context: BrowserContext,
  url: string,
): Promise<TestPage<F>> {
  const page = await context.newPage();
  const told: Told[] = [];
  const waiting = new Set<() => void>();
  const faults: string[] = [];
  const expected: RegExp[] = [];
  let closed = false;

  const lookAgain = () => {
    for (const look of [...waiting]) look();
  };
  const addFault = (fault: string) => {
    if (closed || expected.some((pattern) => pattern.test(fault))) return;
    faults.push(fault);
    lookAgain();
  };
  /** Resolves as soon as `find` finds something. */
  const waitFor = <T>(what: string, timeoutMs: number, find: () => T | undefined) =>
    new Promise<T>((resolve, reject) => {
      const look = () => {
        const found = find();
        if (found === undefined) return;
        clearTimeout(timer);
        waiting.delete(look);
        resolve(found);
      };
      const timer = setTimeout(() => {
        waiting.delete(look);
        const heard = told.map(({ type, detail }) => `${type} ${briefly(detail)}`);
        const instead = [...heard, ...faults].slice(-20).join("\n");
        reject(new Error(`${what} did not come in ${timeoutMs} ms, but:\n${instead}`));
      }, timeoutMs);
      waiting.add(look);
      look();
    });
  page.on("console", (message) => {
    if (message.type() === "error")
      addFault(`console: ${message.text()} ${message.location().url}`);
  });
  page.on("pageerror", (error) => addFault(`uncaught: ${error.stack ?? error.message}`));
  page.on("crash", () => addFault("the page crashed"));
  await page.exposeBinding("tributaryTell", (_, type: string, detail: unknown) => {
    told.push({ type, detail: detail as never });
    lookAgain();
  });

  const close = async () => {
    closed = true;
    await page.close();
  };
  onTestFinished(async () => {
    await close();
    if (faults.length > 0) throw new Error(`faults in ${url}:\n${faults.join("\n")}`);
  });
  await page.goto(url);

  return {
    page,
    told,
    call: <K extends keyof F & string>(name: K, ...args: Parameters<F[K]>) =>
      page.evaluate(callInPage, { name, args: args }) as Promise<Awaited<ReturnType<F[K]>>>,
    until: async <T>(type: string, options: UntilOptions<T> = {}) => {
      const { accept = () => true, since = 0, timeoutMs = 20_000 } = options;
      const { detail } = await waitFor(`"${type}"`, timeoutMs, () =>
        told.slice(since).find((one) => one.type === type && accept(one.detail)),
      );
      return detail;
    },
    takeFault: (pattern, timeoutMs = 10_000) =>
      waitFor(`a fault like ${pattern}`, timeoutMs, () => {
        const taken = faults.find((fault) => pattern.test(fault));
        if (taken === undefined) return undefined;
        expected.push(pattern);
        faults.splice(0, Infinity, ...faults.filter((fault) => !pattern.test(fault)));
        return taken;
      }),
    expectFaults: (pattern) => void expected.push(pattern),
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Runs in the page. */
async function callInPage({ name, args }: { name: string; args: unknown[] }): Promise<unknown> {
  const { tributaryTest } = window as unknown as {
    tributaryTest?: Record<string, (...args: unknown[]) => unknown>;
  };
  const called = tributaryTest?.[name];
  if (called === undefined) throw new Error(`the page has no function "${name}"`);
  return called(...args);
}

const briefly = (detail: unknown) => JSON.stringify(detail).slice(0, 200);
