import { expect, test } from "vitest";

import { openBrowser } from "../support/browser.ts";

test("[RB1] a page opens in the browser", async () => {
  await using browser = await openBrowser();
  const page = await browser.context.newPage();
  await page.goto("data:text/html,<h1>Hello</h1>");
  expect(await page.textContent("h1")).toBe("Hello");
});
