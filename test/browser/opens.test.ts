/** The machinery of the tests in a browser itself. */

import { expect, test } from "vitest";

import { shareBrowser } from "../support/browser.ts";
import { startPageServer } from "../support/page-server.ts";
import type { functions } from "./pages/bare.page.ts";

const browser = shareBrowser();

test("[RB1] a page built from source opens, its functions are called and what it tells is heard", async () => {
  await using server = await startPageServer();
  await using profile = await browser.newProfile();
  const page = await profile.open<typeof functions>(server, "bare");
  expect(await page.call("add", 2, 3)).toBe(5);
  await page.call("sayLater", "hello");
  expect(await page.until("said")).toBe("hello");
});

test("[RB2] errors in the console, errors nobody caught and violated policies are faults", async () => {
  const headers = { "content-security-policy": "default-src 'self'; img-src data:" };
  await using server = await startPageServer({ headers });
  await using profile = await browser.newProfile();
  const page = await profile.open<typeof functions>(server, "bare");
  await page.call("complain", "something is wrong");
  await page.takeFault(/^console: something is wrong/);
  await page.call("failLater", "nobody catches this");
  await page.takeFault(/^uncaught: .*nobody catches this/);
  await page.call("failInWorker", "nor this");
  await page.takeFault(/^uncaught: .*nor this/);
  await expect(page.call("evaluateText", "return 1")).rejects.toThrow("unsafe-eval");
  await page.takeFault(/script-src/);
  await expect(page.call("reach", "http://127.0.0.1:9/")).rejects.toThrow("Failed to fetch");
  await page.takeFault(/Content Security Policy/);
});

test.fails("[RB2] a fault that was not expected fails the test", async () => {
  await using server = await startPageServer();
  await using profile = await browser.newProfile();
  const page = await profile.open<typeof functions>(server, "bare");
  page.expectFaults(/something else/);
  await page.call("complain", "something is wrong");
});
