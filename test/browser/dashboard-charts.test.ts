/** The dashboard's charts and versions in a real browser, over a history that was written beforehand. */

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";

import { parseTaskId } from "@tributary/protocol";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";

import { shareBrowser } from "../support/browser.ts";
import { buildDashboard } from "../support/built-dashboard.ts";
import type { RunningCoordinator } from "../support/coordinator.ts";
import { startCoordinator } from "../support/coordinator.ts";
import { temporaryFolder } from "../support/folder.ts";
import { writeLongHistory } from "../support/long-history.ts";
import { openTestPage } from "../support/test-page.ts";

const browser = shareBrowser();
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let running: RunningCoordinator;
beforeAll(async () => {
  await buildDashboard();
  folder = await temporaryFolder();
  const directory = folder.path;
  await writeLongHistory({ directory, taskId: "long", rounds: 2000 });
  await writeLongHistory({ directory, taskId: "other", rounds: 300, seed: 2 });
  running = await startCoordinator({ config: { storage: { kind: "sqlite", directory } } });
});
afterAll(async () => {
  await running[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

const chart = (page: Page, name: string) => page.getByRole("region", { name, exact: true });
/** What the keys read of a chart. */
const readWith = async (page: Page, name: string, key: string) => {
  const plot = chart(page, name).locator(".plot");
  await plot.press(key);
  return (await plot.getByRole("status").textContent()) ?? "";
};
const placeIn = (said: string) => Number(/^[\d\u202f]+/.exec(said)?.[0].replaceAll("\u202f", ""));

test("[DB35] thousands of rounds are drawn from one answer, looked at more closely by dragging, and read by keys", async () => {
  await using profile = await browser.newProfile();
  const asked: string[] = [];
  profile.context.on("request", (request) => {
    if (request.url().includes("/history")) asked.push(request.url());
  });
  const { page } = await openTestPage(
    profile.context,
    `${running.url}/dashboard#/tasks/long/curves`,
  );
  const { modelVersion } = (await running.coordinator.tasks.get(parseTaskId("long"))).checkpoint;
  await chart(page, "Accuracy").locator("canvas").waitFor();
  expect(asked).toHaveLength(1);
  const last = await readWith(page, "Accuracy", "End");
  expect(placeIn(last)).toBe(modelVersion);
  expect(last).toMatch(/Accuracy \d+\.\d.%$/);
  expect(placeIn(await readWith(page, "Accuracy", "ArrowLeft"))).toBe(modelVersion - 1);
  expect(placeIn(await readWith(page, "Accuracy", "Home"))).toBe(1);

  const field = (await chart(page, "Accuracy").locator(".u-over").boundingBox())!;
  const y = field.y + field.height / 2;
  await page.mouse.move(field.x + field.width / 2, y);
  await page.mouse.down();
  await page.mouse.move(field.x + 0.75 * field.width, y, { steps: 4 });
  await page.mouse.up();
  const again = page.getByRole("button", { name: "Show all again" });
  await again.waitFor();
  // The same stretch in each chart.
  for (const name of ["Accuracy", "Loss", "Macro F1"]) {
    const from = placeIn(await readWith(page, name, "Home")) / modelVersion;
    const to = placeIn(await readWith(page, name, "End")) / modelVersion;
    expect(from).toBeCloseTo(0.5, 1);
    expect(to).toBeCloseTo(0.75, 1);
  }
  await again.click();
  expect(placeIn(await readWith(page, "Accuracy", "Home"))).toBe(1);

  await page.getByRole("button", { name: "Rounds", exact: true }).click();
  // Drawn anew a moment after the click.
  await expect
    .poll(async () => placeIn(await readWith(page, "Accuracy", "End")))
    .toBeGreaterThan(modelVersion);
  expect(asked).toHaveLength(1);
});

test("[DB35] lines are switched and tasks laid over one another by keys alone, and a table says the same", async () => {
  await using profile = await browser.newProfile();
  const { page } = await openTestPage(
    profile.context,
    `${running.url}/dashboard#/tasks/long/curves`,
  );
  const f1 = chart(page, "Macro F1");
  await f1.locator("canvas").waitFor();
  expect(await readWith(page, "Macro F1", "End")).toMatch(/F1 .*Precision .*Recall /);
  const precision = f1.getByRole("button", { name: "Precision" });
  await precision.press("Space");
  expect(await precision.getAttribute("aria-pressed")).toBe("false");
  expect(await readWith(page, "Macro F1", "End")).not.toContain("Precision");

  await page.getByLabel("Lay another task over it").selectOption("other");
  await f1.getByRole("button", { name: "other" }).waitFor();
  const said = await readWith(page, "Macro F1", "Home");
  expect(said).toMatch(/long .*other /);
  expect(await f1.locator(".plot").getAttribute("aria-label")).toMatch(
    /long goes from .* other goes/,
  );
  await f1.getByText("Macro F1 as a table").press("Enter");
  const heads = await f1.locator("thead th").allTextContents();
  expect(heads).toEqual(["Version", "long", "other"]);
  expect(await f1.locator("tbody tr").count()).toBeGreaterThan(10);
  await page.getByRole("button", { name: "Leave other away" }).click();
  await f1.getByRole("button", { name: "Recall" }).waitFor();
});

test("[DB51] a version is downloaded from its row, with where it comes from, and is what the coordinator has", async () => {
  await using profile = await browser.newProfile();
  const { page } = await openTestPage(
    profile.context,
    `${running.url}/dashboard#/tasks/long/versions`,
  );
  const { checkpoint } = await running.coordinator.tasks.get(parseTaskId("long"));
  const { modelVersion, digest } = checkpoint;
  await page.getByRole("button", { name: `More about version ${modelVersion}` }).click();
  const lineage = page.getByRole("list", { name: `Where version ${modelVersion} comes from` });
  expect(await lineage.locator("strong").first().textContent()).toBe(String(modelVersion));
  const [file] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("button", { name: "Checkpoint" }).click(),
  ]);
  expect(file.suggestedFilename()).toBe(`long-v${modelVersion}.ckpt`);
  const bytes = await readFile(await file.path());
  expect(createHash("sha256").update(bytes).digest("hex")).toBe(digest);
  await page.getByText("is verified and saved").waitFor();
});
