/** The digits example as a visitor meets it: at the width of a phone, by finger or keys, with its coordinator. */

import { fileURLToPath } from "node:url";

import type { Demo } from "@tributary/example-digits-browser";
import { startDemo, TASK_ID } from "@tributary/example-digits-browser";
import { parseTaskId } from "@tributary/protocol";
import axe from "axe-core";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { build } from "vite";

import { shareBrowser } from "../support/browser.ts";
import { temporaryFolder } from "../support/folder.ts";
import { openTestPage } from "../support/test-page.ts";

const EXAMPLE = fileURLToPath(new URL("../../examples/digits-browser/", import.meta.url));
const FEW = {
  ...{ port: 0, coordinatorPort: 0 },
  ...{ neighbours: 2, imagesEach: 20, testImages: 200, pauseMs: 200 },
};
const PHONE = { width: 390, height: 844 };

const browser = shareBrowser();
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let demo: Demo;
beforeAll(async () => {
  folder = await temporaryFolder();
  await build({
    configFile: `${EXAMPLE}vite.config.ts`,
    logLevel: "error",
    build: { outDir: folder.path, minify: false, reportCompressedSize: false },
  });
  demo = await startDemo({
    ...FEW,
    pageDirectory: folder.path,
  });
});
afterAll(async () => {
  await demo.close();
  await folder[Symbol.asyncDispose]();
});

interface Visitor {
  readonly page: Page;
  expectFaults(pattern: RegExp): void;
  setOffline(offline: boolean): Promise<void>;
}

/** A phone with an empty profile, on the page. */
async function visit({ pageUrl } = demo): Promise<Visitor> {
  const { context, ...profile } = await browser.newProfile({
    // Colours that are on their way from light to dark are neither.
    ...{ viewport: PHONE, locale: "en", reducedMotion: "reduce" },
  });
  onTestFinished(() => profile[Symbol.asyncDispose]());
  const { page, expectFaults } = await openTestPage(context, pageUrl);
  page.setDefaultTimeout(20_000);
  await page.getByText("The model on this device reads").waitFor();
  return { page, expectFaults, setOffline: profile.setOffline };
}

const button = (page: Page, name: string) => page.getByRole("button", { name, exact: true });
const says = (page: Page, text: string | RegExp) => page.getByText(text).first().waitFor();

/** Draws lines through points in units of the pad. */
async function draw(page: Page, ...points: readonly (readonly [number, number])[]): Promise<void> {
  const pad = page.getByRole("application", { name: "Drawing pad" });
  await pad.scrollIntoViewIfNeeded();
  const { x, y, width, height } = (await pad.boundingBox())!;
  for (const [i, [right, down]] of points.entries()) {
    await page.mouse.move(x + right * width, y + down * height, { steps: 4 });
    if (i === 0) await page.mouse.down();
  }
  await page.mouse.up();
}

const drawOne = (page: Page) => draw(page, [0.5, 0.15], [0.5, 0.85]);
const drawSeven = (page: Page) => draw(page, [0.25, 0.2], [0.75, 0.2], [0.45, 0.85]);

/** The rows of what was sent, newest first. */
const sentRows = (page: Page) => page.locator(".sent tbody tr");

test("[DX10] a visitor draws, is read, agrees and trains: the page says when the update was counted", async () => {
  const { page } = await visit();
  const bodies: { readonly url: string; readonly bytes: number }[] = [];
  page.on("request", (request) => {
    const body = request.postDataBuffer();
    if (body !== null) bodies.push({ url: request.url(), bytes: body.length });
  });
  await drawSeven(page);
  await says(page, /Looks like a \d|Perhaps a \d/);
  await button(page, "It is a 7").click();
  await page.getByRole("img", { name: /^A 7/ }).waitFor();
  await says(page, "You are not taking part");
  expect(bodies).toEqual([]);

  await button(page, "Take part …").click();
  for (const words of ["What is sent", "What is never sent", "Your drawings, and what you say"]) {
    await says(page, words);
  }
  await button(page, "I agree, take part").click();
  const first = sentRows(page)
    .filter({ hasText: /in version \d/ })
    .last();
  await first.waitFor();
  const [round, bytes, drawings, change, result] = await first.locator("td").allInnerTexts();
  expect(drawings).toBe("1");
  expect(Number(change)).toBeGreaterThan(0);
  expect(Number(change)).toBeLessThanOrEqual(1);
  const { evaluation, roundNumber } = await demo.coordinator.models.get(
    parseTaskId(TASK_ID),
    Number(result!.replace("in version ", "")),
  );
  expect(roundNumber).toBe(Number(round));
  const accuracy = (100 * (evaluation?.accuracy ?? NaN)).toFixed(1);
  const dot = new RegExp(`^Round ${round!}: ${accuracy}\\s%, with your update$`);
  await page.getByRole("img", { name: dot }).waitFor();
  // What the page shows is what left it, and no other body has.
  expect(bodies.map((body) => body.bytes.toLocaleString("en"))).toContain(bytes);
  for (const { url } of bodies) expect(url).toMatch(/\/v1\/rounds\/[^/]+\/update$/);
});

test("[DX11] the next training is on the drawings there are by then; pause, leave and coming back do what they say", async () => {
  const { page, expectFaults } = await visit();
  // Whoever leaves or reloads interrupts what is on its way, and the browser says so.
  expectFaults(/WebSocket is closed before|status of 4\d\d .*\/update$/);
  await drawOne(page);
  await button(page, "It is a 1").click();
  await button(page, "Take part …").click();
  await button(page, "I agree, take part").click();
  await sentRows(page).first().waitFor();
  await drawSeven(page);
  await button(page, "It is a 7").click();
  await sentRows(page)
    .filter({ has: page.locator("td:nth-child(3)", { hasText: /^2$/ }) })
    .first()
    .waitFor();

  await button(page, "Pause").click();
  await says(page, "You have paused it.");
  await button(page, "Go on").click();
  await says(page, /Waiting for the next round|in round \d/);
  await button(page, "Leave").click();
  await says(page, "You are not taking part");
  await button(page, "Take part again").click();
  await button(page, "Pause").waitFor();

  // Remembered: whoever agreed is not asked again, and takes part.
  await page.reload();
  await button(page, "Pause").waitFor();
  await page.getByRole("img", { name: /^A 7/ }).waitFor();
  await button(page, "Withdraw my agreement").click();
  await says(page, "You are not taking part");
  await button(page, "Take part …").waitFor();
});

test("[DX12] forgetting leaves no drawing, no agreement and no model in the browser", async () => {
  const { page } = await visit();
  await drawOne(page);
  await button(page, "It is a 1").click();
  await button(page, "Take part …").click();
  await button(page, "I agree, take part").click();
  await sentRows(page).first().waitFor();
  await button(page, "Forget everything …").click();
  await button(page, "Yes, forget everything").click();
  await says(page, "None yet.");
  await button(page, "Take part …").waitFor();
  const kept = await page.evaluate(async () => {
    const databases = await indexedDB.databases();
    const counts = databases.map(
      ({ name = "" }) =>
        new Promise<readonly string[]>((resolve, reject) => {
          const request = indexedDB.open(name);
          request.onerror = () => reject(new Error(name));
          request.onsuccess = () => {
            const stores = [...request.result.objectStoreNames];
            const transaction = request.result.transaction(stores);
            const found: string[] = [];
            for (const store of stores) {
              const counting = transaction.objectStore(store).count();
              counting.onsuccess = () => {
                if (counting.result > 0) found.push(`${name}/${store}`);
              };
            }
            transaction.oncomplete = () => {
              request.result.close();
              resolve(found);
            };
          };
        }),
    );
    return (await Promise.all(counts)).flat();
  });
  // Of whoever comes next: a new random name, and the public model.
  expect(kept.filter((place) => !/\/(own|models|trust)$/.test(place))).toEqual([]);
  await says(page, "not given");
});

test("[DX13] by keys alone a digit is drawn, read, said to be one, and the visitor takes part and leaves", async () => {
  const { page } = await visit();
  const { keyboard } = page;
  const tabTo = async (name: string) => {
    for (let presses = 0; presses < 40; presses++) {
      await keyboard.press("Tab");
      const label = await page.evaluate(() => {
        const focused = document.activeElement;
        return focused?.getAttribute("aria-label") ?? focused?.textContent;
      });
      if (label === name) return;
    }
    throw new Error(`no "${name}" is reached by Tab`);
  };
  await tabTo("Drawing pad");
  for (let row = 0; row < 9; row++) await keyboard.press("Shift+ArrowDown");
  await page.getByRole("status").filter({ hasText: "Painted, row 12, column 7" }).waitFor();
  await keyboard.press("ArrowRight");
  await keyboard.press("Space");
  await page
    .getByRole("status")
    .filter({ hasText: /Looks like a \d|Perhaps a \d/ })
    .waitFor();
  await keyboard.press("Backspace");
  expect(await page.locator(".ink").count()).toBe(1);
  await keyboard.press("1");
  await page.getByRole("img", { name: /^A 1/ }).waitFor();

  await tabTo("Take part …");
  await keyboard.press("Enter");
  await tabTo("I agree, take part");
  await keyboard.press("Enter");
  await sentRows(page).first().waitFor();
  await page.evaluate(() => (document.activeElement as HTMLElement | null)?.blur());
  await tabTo("Leave");
  await keyboard.press("Enter");
  await says(page, "You are not taking part");
});

test("[DX14] without a connection the model reads on and the page says what waits; it goes on afterwards", async () => {
  const { page, expectFaults, setOffline } = await visit();
  expectFaults(/ERR_INTERNET_DISCONNECTED|WebSocket|Failed to fetch/);
  await drawOne(page);
  await button(page, "It is a 1").click();
  await button(page, "Take part …").click();
  await button(page, "I agree, take part").click();
  await sentRows(page).first().waitFor();
  await setOffline(true);
  await says(page, "No connection");
  await drawSeven(page);
  await says(page, /Looks like a \d|Perhaps a \d/);
  await setOffline(false);
  await says(page, /Waiting for the next round|in round \d/);
});

test("[DX15] axe finds nothing serious in any state, light or dark, and nothing is wider than a phone", async () => {
  await using ending = await startDemo({
    ...FEW,
    pageDirectory: folder.path,
  });
  const { page } = await visit(ending);
  const look = async (state: string) => {
    await page.emulateMedia({ colorScheme: "light" });
    expect(await graveFaults(page), state).toEqual([]);
    await page.emulateMedia({ colorScheme: "dark" });
    expect(await graveFaults(page, ["color-contrast"]), `${state}, dark`).toEqual([]);
    const overhang = await page.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    );
    expect(overhang, state).toBeLessThanOrEqual(0);
  };
  await look("empty");
  await drawSeven(page);
  await says(page, /Looks like a \d|Perhaps a \d/);
  await look("predicting");
  await button(page, "It is a 7").click();
  await button(page, "Take part …").click();
  await look("asked");
  await button(page, "I agree, take part").click();
  await sentRows(page).first().waitFor();
  await look("taking part");
  await button(page, "Pause").click();
  await says(page, "You have paused it.");
  await button(page, "Forget everything …").click();
  await look("paused");
  await ending.coordinator.tasks.cancel(parseTaskId(TASK_ID));
  await says(page, "Training has ended");
  await look("ended");
});

test("[DX16] a browser that keeps no data is told so", async () => {
  const { context, ...profile } = await browser.newProfile({ viewport: PHONE });
  onTestFinished(() => profile[Symbol.asyncDispose]());
  await context.addInitScript(() => {
    indexedDB.open = () => {
      throw new DOMException("no", "SecurityError");
    };
  });
  const { page } = await openTestPage(context, demo.pageUrl);
  await page.getByRole("alert").filter({ hasText: "keeps no data" }).waitFor();
  expect(await graveFaults(page)).toEqual([]);
});

/**
 * What axe calls serious or critical, in words. Evaluated by the debugger, which no policy concerns.
 * @param rules of axe; absent: all
 */
async function graveFaults(page: Page, rules?: string[]): Promise<string[]> {
  await page.evaluate(axe.source);
  return page.evaluate(async (only) => {
    const { axe: inPage } = globalThis as unknown as { axe: typeof axe };
    const { violations } = await inPage.run(document, {
      resultTypes: ["violations"],
      ...(only === undefined ? {} : { runOnly: only }),
    });
    return violations
      .filter(({ impact }) => impact === "serious" || impact === "critical")
      .flatMap(({ id, help, nodes }) => nodes.map(({ html }) => `${id}: ${help}: ${html}`));
  }, rules);
}
