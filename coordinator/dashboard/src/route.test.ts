import { expect, test } from "vitest";

import { hrefs, parseRoute } from "./route.ts";

test("[DB12] every place has an address, and an address that leads nowhere says so", () => {
  const taskId = "digits" as Parameters<typeof hrefs.task>[0];
  expect(parseRoute("")).toEqual({ page: "overview" });
  expect(parseRoute(hrefs.overview)).toEqual({ page: "overview" });
  expect(parseRoute(hrefs.task(taskId))).toEqual({ page: "task", taskId, tab: undefined });
  expect(parseRoute(hrefs.task(taskId, "rounds"))).toEqual({ page: "task", taskId, tab: "rounds" });
  expect(parseRoute(hrefs.events)).toEqual({ page: "events" });
  expect(parseRoute(hrefs.health)).toEqual({ page: "health" });
  expect(parseRoute(hrefs.signIn)).toEqual({ page: "sign-in" });
  for (const hash of ["#/tasks/NO", "#/tasks/a/b/c", "#/nothing", "#/events/x", "#/tasks/%2e%2e"]) {
    expect(parseRoute(hash).page).toBe("nowhere");
  }
});
