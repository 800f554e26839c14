/** The dashboard in a real browser: real coordinators, real rounds of SDK clients. */

import type { Client } from "@tributary/client-sdk";
import { createClient } from "@tributary/client-sdk";
import { decodeCheckpoint, routes } from "@tributary/protocol";
import type { TaskId, TaskResource } from "@tributary/protocol";
import axe from "axe-core";
import type { Page } from "playwright-core";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";

import type { Profile } from "../support/browser.ts";
import { shareBrowser } from "../support/browser.ts";
import { buildDashboard } from "../support/built-dashboard.ts";
import { smallTask, startCoordinator } from "../support/coordinator.ts";
import { startCoordinatorProcess } from "../support/coordinator-process.ts";
import { temporaryFolder } from "../support/folder.ts";
import { writeLongHistory } from "../support/long-history.ts";
import { openTestPage } from "../support/test-page.ts";
import { countingTrainer } from "../support/trainers.ts";

const browser = shareBrowser();
beforeAll(buildDashboard);

const TASK = "small" as TaskId;
const TOKENS = {
  adminToken: "admin-token-of-this-test",
  viewerToken: "viewer-token-of-this-test",
  clientToken: "client-token-of-this-test",
};
/** Everybody may read, and nobody steers without the token. */
const OPERATOR = { adminToken: TOKENS.adminToken };
const PRIVACY = { mechanism: "central", noiseMultiplier: 1, delta: 1e-5, maxEpsilon: 1e6 } as const;

/** A tab with the dashboard, which asks nobody but its own coordinator. */
async function openDashboard(profile: Profile, url: string, place = "") {
  const strangers: string[] = [];
  profile.context.on("request", (request) => {
    if (!request.url().startsWith(`${url}/`)) strangers.push(request.url());
  });
  onTestFinished(() => expect(strangers).toEqual([]));
  const tab = await openTestPage(profile.context, `${url}/dashboard${place}`);
  return { ...tab, page: tab.page };
}

/** Clients in this process that train until the test ends. */
function joinClients(
  url: string,
  count: number,
  options: { gate?: () => Promise<void>; token?: string } = {},
) {
  const { gate, token } = options;
  const clients: Client[] = [];
  for (let i = 0; i < count; i++) {
    const client = createClient({ url, ...(token === undefined ? {} : { token }) });
    client.join(TASK, { trainer: countingTrainer(gate === undefined ? {} : { gate }) });
    clients.push(client);
  }
  onTestFinished(async () => {
    await Promise.all(clients.map((client) => client.close()));
  });
}

/** Resolves when it is opened. */
function gate() {
  let open = () => {};
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { wait: () => opened, open: () => open() };
}

const heading = (page: Page, name: string | RegExp) => page.getByRole("heading", { name });
const main = (page: Page) => page.getByRole("main");
async function signIn(page: Page, token: string): Promise<void> {
  await page.getByLabel("Token", { exact: true }).fill(token);
  await page.keyboard.press("Enter");
}

describe("what it shows", () => {
  test("[DB70] a round is seen from its start to the version that it made, without a reload", async () => {
    await using running = await startCoordinator();
    await running.coordinator.tasks.create(smallTask({ stop: { maxRounds: 1 } }));
    await using profile = await browser.newProfile();
    const { page } = await openDashboard(profile, running.url);
    await page.getByRole("link", { name: "small" }).click();
    await heading(page, "No round yet").waitFor();
    const training = gate();
    joinClients(running.url, 2, { gate: training.wait });
    await heading(page, "Round 1").waitFor();
    await page.locator('.step[aria-current="step"]', { hasText: "Reporting" }).waitFor();
    await page.locator(".funnel-flow", { hasText: "Selected2" }).waitFor();
    training.open();
    await heading(page, "Last round: 1").waitFor();
    expect(await page.locator(".step-done").count()).toBe(4);
    await page.locator(".figure", { hasText: "Rounds committed1" }).waitFor();
    await main(page).getByText("all its rounds are done").first().waitFor();
  });

  test("[DB2] a task that is created while the overview is open appears there, though nothing else happens", async () => {
    await using running = await startCoordinator();
    await running.coordinator.tasks.create(smallTask());
    await running.coordinator.tasks.pause(TASK);
    await using profile = await browser.newProfile();
    const { page } = await openDashboard(profile, running.url);
    await page.getByRole("link", { name: "small" }).waitFor();
    await running.coordinator.tasks.create(smallTask({ taskId: "later" }));
    await page.getByRole("link", { name: "later" }).waitFor();
    await page.locator(".figure", { hasText: "Tasks running1" }).waitFor();
  });

  test("[DB71] a coordinator that is killed and started again is found again, and what goes on is shown", async () => {
    await using folder = await temporaryFolder();
    const options = { directory: folder.path, tasks: [smallTask()], built: true };
    let running = await startCoordinatorProcess(options);
    // Gone before its folder is; whichever it is by then.
    await using lastOne = { [Symbol.asyncDispose]: () => running.kill() };
    expect(lastOne).toBeDefined();
    const { url } = running;
    await using profile = await browser.newProfile();
    const tab = await openDashboard(profile, url, "#/tasks/small");
    // The browser itself says so of requests to nobody.
    tab.expectFaults(/ERR_|Failed to (fetch|load)/);
    const { page } = tab;
    await heading(page, "small").waitFor();
    await page.evaluate(() => (document.body.dataset.mark = "the same page"));
    await running.kill();
    await page.locator(".banner", { hasText: "as of" }).waitFor();
    running = await startCoordinatorProcess({ ...options, port: Number(new URL(url).port) });
    await page.locator(".banner").waitFor({ state: "detached" });
    joinClients(url, 2);
    await page.locator(".figure", { hasText: /Version[1-9]/ }).waitFor();
    expect(await page.evaluate(() => document.body.dataset.mark)).toBe("the same page");
  });

  test("[DB72] of a private task viewers are told in words what is kept from them, and the operator sees the counts", async () => {
    await using running = await startCoordinator({ config: { auth: TOKENS } });
    await running.coordinator.tasks.create(smallTask({ clippingNorm: 1, privacy: PRIVACY }));
    const training = gate();
    joinClients(running.url, 2, { gate: training.wait, token: TOKENS.clientToken });
    await running.until(
      (event) => event.type === "round:phaseChanged" && event.data.phase === "reporting",
    );
    await using profile = await browser.newProfile();
    const tab = await openDashboard(profile, running.url, "#/tasks/small");
    tab.expectFaults(/401/);
    const { page } = tab;
    await heading(page, "This coordinator asks who you are").waitFor();
    expect(await page.getByText("small").count()).toBe(0);
    await signIn(page, "no-token-of-this-coordinator");
    await page.getByRole("alert").getByText("does not know this token").waitFor();
    await signIn(page, TOKENS.viewerToken);
    await heading(page, "Round 1").waitFor();
    await main(page)
      .getByText(/Not shown to protect the clients/)
      .waitFor();
    await page.locator(".figure", { hasText: "for the operator only" }).waitFor();
    expect(await page.locator(".funnel-flow").count()).toBe(0);
    await page.getByRole("button", { name: "Pause" }).isDisabled();
    await main(page).getByText("that needs the operator’s").waitFor();
    await page.getByRole("button", { name: "Use the operator’s token" }).click();
    await signIn(page, TOKENS.adminToken);
    await page.locator(".funnel-flow", { hasText: "Selected2" }).waitFor();
    expect(
      await main(page)
        .getByText(/Not shown to protect/)
        .count(),
    ).toBe(0);
    expect(await page.getByRole("button", { name: "Pause" }).isEnabled()).toBe(true);
    training.open();
    // No token in any address, and none that outlives the tab.
    expect(page.url()).not.toContain("token");
    expect(await page.evaluate(() => JSON.stringify(localStorage))).not.toContain("token-of");
  });
});

describe("steering", () => {
  const stateOf = async (url: string) => {
    const response = await fetch(url + routes.task.path({ taskId: TASK }));
    return ((await response.json()) as TaskResource).state;
  };

  test("[DB60] without the token the coordinator refuses, the page says so and offers it no more; with it a task is paused, resumed and cancelled", async () => {
    await using running = await startCoordinator({
      config: { auth: OPERATOR },
    });
    const { url } = running;
    await running.coordinator.tasks.create(smallTask());
    await using profile = await browser.newProfile();
    const tab = await openDashboard(profile, url, "#/tasks/small");
    tab.expectFaults(/40[13]/);
    const { page } = tab;
    const button = (name: string) => page.getByRole("button", { name, exact: true });
    const refused = page.waitForResponse((response) => response.url().endsWith("/pause"));
    await button("Pause").click();
    expect((await refused).status()).toBe(401);
    await page.getByRole("alert").getByText("UNAUTHENTICATED").waitFor();
    await main(page).getByText("Steering tasks needs the operator’s token.").waitFor();
    expect(await button("Cancel task").isDisabled()).toBe(true);
    expect(await stateOf(url)).toBe("running");

    await page.getByRole("button", { name: "Use the operator’s token" }).click();
    for (const wrong of ["not-the-operators", "pasted\u200b"]) {
      await signIn(page, wrong);
      await page.getByRole("alert").getByText("does not know this token").waitFor();
    }
    await signIn(page, TOKENS.adminToken);
    await button("Pause").click();
    await button("Resume").waitFor();
    expect(await stateOf(url)).toBe("paused");
    await button("Resume").click();
    await button("Pause").waitFor();
    expect(await stateOf(url)).toBe("running");

    await button("Cancel task").click();
    const dialog = page.getByRole("dialog", { name: "Cancel “small”?" });
    await dialog.getByText("The task ends for ever").waitFor();
    expect(await graveFaults(page)).toEqual([]);
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached" });
    expect(await stateOf(url)).toBe("running");
    // Back where it came from, for whoever has no mouse.
    await page.locator(":focus", { hasText: "Cancel task" }).waitFor();
    await page.keyboard.press("Enter");
    const confirm = dialog.getByRole("button", { name: "Cancel the task for ever" });
    await dialog.getByRole("textbox").fill("smal");
    expect(await confirm.isDisabled()).toBe(true);
    await dialog.getByRole("textbox").press("Enter");
    expect(await stateOf(url)).toBe("running");
    await dialog.getByRole("textbox").fill("small");
    await dialog.getByRole("textbox").press("Enter");
    await main(page).getByText("an operator cancelled it").first().waitFor();
    expect(await stateOf(url)).toBe("ended");
    expect(await button("Resume").count()).toBe(0);
  });

  test("[DB64] a task is written as a form and as JSON, survives a reload, is not sent while it is wrong, and starts with its weights", async () => {
    await using running = await startCoordinator({ config: { auth: OPERATOR } });
    await using profile = await browser.newProfile();
    const tab = await openDashboard(profile, running.url);
    tab.expectFaults(/40[13]|422/);
    const { page } = tab;
    const sent: string[] = [];
    page.on("request", (request) => {
      if (request.method() === "POST") sent.push(request.url());
    });
    const field = (label: string) => page.getByLabel(label);
    const create = page.getByRole("button", { name: "Create the task" });
    const summary = page.getByRole("alert");
    await page.getByRole("link", { name: "New task" }).click();

    await create.click();
    await summary.getByText("Nothing was created").waitFor();
    expect(await summary.evaluate((element) => element === document.activeElement)).toBe(true);
    await summary.getByRole("link", { name: "taskId" }).click();
    await page.keyboard.type("written");
    expect(sent).toEqual([]);
    const model = { tensors: smallTask().model.tensors, initialWeights: {} };
    await field("Tensors").fill(JSON.stringify(model));
    await summary.waitFor({ state: "detached" });

    await create.click();
    await summary.getByText("UNAUTHENTICATED").waitFor();
    expect(await create.isDisabled()).toBe(true);
    await page.getByRole("button", { name: "Use the operator’s token" }).click();
    await signIn(page, OPERATOR.adminToken);
    // Until then nothing behind the dialog can be written.
    await page.getByRole("dialog").waitFor({ state: "detached" });
    sent.length = 0;

    // What only the coordinator knows it tells, and it stands at its field.
    await field("Reports that a round needs").fill("20");
    // The button moves up when what was told before goes.
    await summary.waitFor({ state: "detached" });
    await create.click();
    await summary.getByText("CONFIG_INVALID").waitFor();
    expect(await field("Reports that a round needs").getAttribute("aria-invalid")).toBe("true");
    await page.getByText("is 20, above schedule.minClients of 10").first().waitFor();
    expect(sent).toHaveLength(1);
    await field("Reports that a round needs").fill("");
    await field("Sampler").selectOption("Everybody who waits");

    await page.getByRole("button", { name: "JSON" }).click();
    const json = field("As in a task file");
    const text = await json.inputValue();
    expect(JSON.parse(text)).toMatchObject({ taskId: "written", sampler: { kind: "all" } });
    await json.fill(text.slice(0, -1));
    await page.getByText("It cannot be read yet").waitFor();
    await create.click();
    expect(sent).toHaveLength(1);
    await json.fill(JSON.stringify({ ...JSON.parse(text), description: "by hand" }));
    await page.reload();
    expect(await field("Description").inputValue()).toBe("by hand");
    expect(await field("Name").inputValue()).toBe("written");

    const weights = Float32Array.from({ length: 7 }, (_, i) => i + 0.5);
    const file = (bytes: Uint8Array) => ({
      name: "first.f32",
      mimeType: "application/octet-stream",
      buffer: Buffer.from(bytes),
    });
    await field("First weights").setInputFiles(file(new Uint8Array(8)));
    await page.getByText("are 2 values, and the model has 7 parameters").waitFor();
    await field("First weights").setInputFiles(file(new Uint8Array(weights.buffer)));
    await page.getByText("7 values from first.f32").waitFor();
    await page.getByLabel("Name").press("Enter");
    await heading(page, "written").waitFor();
    const { coordinator } = running;
    const created = await coordinator.tasks.get("written" as TaskId);
    expect(created).toMatchObject({ state: "running", spec: { description: "by hand" } });
    const bytes = await coordinator.models.checkpoint(created.checkpoint.digest);
    expect(decodeCheckpoint(created.layout, bytes).weights).toEqual(weights);
    const left = await page.evaluate(() => Object.keys(sessionStorage));
    expect(left).toEqual(["tributary-token"]);
  });

  test("[DB62] a task file is opened into the form, and another mechanism asks for its own numbers", async () => {
    await using running = await startCoordinator({ config: { auth: OPERATOR } });
    await using profile = await browser.newProfile();
    await profile.context.addInitScript(
      (token) => sessionStorage.setItem("tributary-token", token),
      OPERATOR.adminToken,
    );
    const { page } = await openDashboard(profile, running.url, "#/new-task");
    const spec = smallTask({ clippingNorm: 1, privacy: PRIVACY, description: "from a file" });
    await page.getByLabel("Open a task file").setInputFiles({
      name: "task.json",
      mimeType: "application/json",
      buffer: Buffer.from(JSON.stringify(spec)),
    });
    const value = (label: string) => page.getByLabel(label).inputValue();
    await page.getByText("7 parameters").waitFor();
    expect(await value("Description")).toBe("from a file");
    expect([await value("Delta"), await value("Largest epsilon")]).toEqual(["0.00001", "1000000"]);
    await page.getByLabel("Mechanism").selectOption({ index: 3 });
    await page.getByRole("button", { name: "Create the task" }).click();
    const missing = page.getByRole("alert").getByRole("link");
    expect(await missing.allTextContents()).toEqual([
      "privacy.rounds",
      "privacy.minSeparation",
      "privacy.maxParticipations",
    ]);
    await page.getByLabel("Mechanism").selectOption({ index: 1 });
    await page.getByRole("button", { name: "Create the task" }).click();
    await heading(page, "small").waitFor();
    expect((await running.coordinator.tasks.get(TASK)).spec.privacy).toEqual(PRIVACY);
  });
});

describe("for everybody", () => {
  const PLACES = ["#/new-task", "#/events", "#/health", "", "#/tasks/hidden/privacy"];
  const LOOKS = [
    { width: 1280, height: 800, colorScheme: "light" },
    { width: 1280, height: 800, colorScheme: "dark" },
    { width: 390, height: 844, colorScheme: "light" },
    { width: 390, height: 844, colorScheme: "dark" },
  ] as const;

  test("[DB73] axe finds nothing serious in the main views, light and dark, at the width of a desk and of a phone; none is wider than its window", async () => {
    await using running = await startCoordinator();
    await running.coordinator.tasks.create(
      smallTask({ description: "A task that everybody sees." }),
    );
    await running.coordinator.tasks.create(
      smallTask({
        ...{ taskId: "hidden", clippingNorm: 1, privacy: PRIVACY },
        description: `<b>${"long".repeat(60)}`,
      }),
    );
    joinClients(running.url, 2);
    await running.roundEnded(2);
    await running.coordinator.tasks.pause(TASK);
    await using profile = await browser.newProfile();
    const { page } = await openDashboard(profile, running.url, "#/tasks/small");
    await page.locator(".tabs a").first().waitFor();
    const tabs = await page
      .locator(".tabs a")
      .evaluateAll((links) => links.map((link) => (link as HTMLAnchorElement).hash));
    expect(tabs.length).toBeGreaterThan(3);
    for (const { colorScheme, ...size } of LOOKS) {
      await page.setViewportSize(size);
      await page.emulateMedia({ colorScheme });
      for (const place of [...PLACES, ...tabs]) {
        await page.evaluate((hash) => (location.hash = hash), place);
        await page.getByRole("heading", { level: 1 }).waitFor();
        await page.locator(".skeleton").first().waitFor({ state: "detached" });
        expect(await graveFaults(page), `${place} ${colorScheme} ${size.width}`).toEqual([]);
        const overhang = await page.evaluate(
          () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
        );
        expect(overhang, `${place} at ${size.width}`).toBeLessThanOrEqual(0);
      }
    }
  });

  test("[DB75] where a system forces its colours, the page, the tab and what is chosen can still be told apart", async () => {
    await using running = await startCoordinator();
    await running.coordinator.tasks.create(smallTask());
    await using profile = await browser.newProfile({ forcedColors: "active" });
    const { page } = await openDashboard(profile, running.url, "#/tasks/small/curves");
    const line = (element: Element) => getComputedStyle(element).textDecorationLine;
    await heading(page, "small").waitFor();
    for (const bar of [".shell-nav", ".tabs"]) {
      const links = page.locator(`${bar} a`);
      const current = page.locator(`${bar} a[aria-current]`);
      expect(await current.evaluate(line)).toBe("underline");
      expect(await links.last().evaluate(line)).toBe("none");
    }
    await page.goto(`${running.url}/dashboard#/events`);
    const chip = page.getByRole("button", { name: "Rounds" });
    expect(await chip.evaluate(line)).toBe("underline");
    await chip.click();
    expect(await chip.evaluate(line)).toBe("none");
  });

  test("[DB74] ten thousand rounds open without trouble: a bounded page that goes on answering", async () => {
    await using folder = await temporaryFolder();
    await writeLongHistory({ directory: folder.path, taskId: TASK, rounds: 10_000 });
    await using running = await startCoordinator({
      config: { storage: { kind: "sqlite", directory: folder.path } },
    });
    await using profile = await browser.newProfile();
    const { page } = await openDashboard(profile, running.url, "#/tasks/small");
    await heading(page, "small").waitFor();
    await page.locator(".figure", { hasText: /Rounds committed9/ }).waitFor();
    for (const tab of await page.locator(".tabs a").all()) {
      await tab.click();
      await page.locator(".panels > .panel").first().waitFor();
      await page.locator(".skeleton").first().waitFor({ state: "detached" });
      const nodes = await page.evaluate(() => document.querySelectorAll("*").length);
      expect(nodes).toBeLessThan(3000);
    }
    await page.getByRole("link", { name: "Tasks", exact: true }).first().click();
    await heading(page, "Tasks").waitFor();
  });
});

/** What axe calls serious or critical, in words. */
async function graveFaults(page: Page): Promise<string[]> {
  await page.evaluate(AXE);
  return page.evaluate(async () => {
    const { axe: inPage } = globalThis as unknown as { axe: typeof axe };
    const { violations } = await inPage.run(document, { resultTypes: ["violations"] });
    return violations
      .filter(({ impact }) => impact === "serious" || impact === "critical")
      .flatMap(({ id, help, nodes }) => nodes.map(({ html }) => `${id}: ${help}: ${html}`));
  });
}
/** Evaluated by the debugger, which no policy of a page concerns. */
const AXE = axe.source;
