import { afterEach, expect, test, vi } from "vitest";

afterEach(() => vi.restoreAllMocks());

test("[EX17] hello-round finds the line in ten rounds, and says so", async () => {
  const lines: string[] = [];
  vi.spyOn(console, "log").mockImplementation((line: string) => void lines.push(line));
  await import("./main.ts");
  expect(lines).toHaveLength(11);
  expect(lines[0]).toMatch(/^round 1: 3 clients, loss /);
  expect(lines[10]).toBe("version 10 says: 10 -> 32.000 (3 * 10 + 2 = 32)");
});
