import type { MonitoringEvent, RoundResource } from "@tributary/protocol";
import { roundIdOf, parseTaskId } from "@tributary/protocol";
import { expect, test } from "vitest";

import type { Budget } from "./budget.ts";
import { closingText, epsilonText, openingText, wrapped } from "./budget.ts";
import { drawDigit } from "./digit-art.ts";
import { createRoundTable } from "./table.ts";

const taskId = parseTaskId("digits");
const round = (more: Partial<RoundResource>): MonitoringEvent => ({
  id: "1",
  at: "2026-01-01T00:00:00.000Z",
  taskId,
  type: "round:phaseChanged",
  data: {
    roundId: roundIdOf(taskId, 3),
    taskId,
    roundNumber: 3,
    phase: "committed",
    baseModelVersion: 2,
    openedAt: "2026-01-01T00:00:00.000Z",
    endedAt: "2026-01-01T00:00:02.500Z",
    phases: [],
    participants: {
      selected: 10,
      reported: 9,
      pending: 0,
      declined: 0,
      left: 0,
      disconnected: 1,
      rejected: 0,
      timedOut: 0,
    },
    rejections: {},
    updateBytes: 7_200_000,
    evaluation: {
      source: "central",
      numExamples: 10_000,
      loss: 0.1234,
      accuracy: 0.9651,
      modelVersion: 3,
    },
    ...more,
  },
});

const budget: Budget = {
  delta: 1e-4,
  maxEpsilon: 4,
  epsilon: 1.2341,
  rounds: 3,
  roundsLeft: 26,
  statement: `Each client's whole contribution is protected ${"by noise ".repeat(20)}.`,
};

function written(options: { privacy: boolean; live: boolean }, ...events: MonitoringEvent[]) {
  let text = "";
  const table = createRoundTable({ ...options, write: (part) => (text += part) });
  table.initial(0, { accuracy: 0.1, loss: 2.3 });
  events.forEach((event) => table.observe(event, options.privacy ? budget : undefined));
  table.end();
  return text;
}

test("[EX13] a committed round shows accuracy, loss, reports, bytes and seconds", () => {
  const text = written({ privacy: false, live: false }, round({}));
  const [header, , line, rest] = text.split("\n").map((part) => part.trim().split(/ {2,}/));
  expect(header).toEqual(["round", "accuracy", "loss", "reports", "bytes", "seconds"]);
  expect(line).toEqual(["3", "96.51 %", "0.1234", "9/10", "7.2 MB", "2.5"]);
  expect(rest).toEqual([""]);
});

test("[LE1] under privacy a round shows what is spent and left, rounded up, and nothing of single clients", () => {
  const text = written({ privacy: true, live: false }, round({ epsilon: 1.2341 }));
  const [header, , line] = text.split("\n").map((part) => part.trim().split(/ {2,}/));
  expect(header).toEqual("round,accuracy,loss,seconds,epsilon,of budget,rounds left".split(","));
  expect(line).toEqual(["3", "96.51 %", "0.1234", "2.5", "1.235", "31 %", "26"]);
  expect(written({ privacy: true, live: true }, round({ phase: "reporting" }))).not.toContain("9");
});

test("[LE1] every line fits 80 characters, whatever the numbers, and has no colours in a pipe", () => {
  const longest = round({
    roundNumber: 999_999,
    roundId: roundIdOf(taskId, 999_999),
    epsilon: 1234.5678,
    endedAt: "2026-01-01T09:00:00.000Z",
    evaluation: {
      source: "central",
      numExamples: 1,
      loss: 1234.5678,
      accuracy: 1,
      modelVersion: 1,
    },
  });
  for (const privacy of [true, false]) {
    const text = written({ privacy, live: false }, longest);
    for (const line of text.split("\n")) expect(line.length).toBeLessThanOrEqual(80);
    expect(text).not.toContain("\u001b");
  }
});

test("[LE2] the budget and the whole statement are told before training and after it", () => {
  const words = (text: string) => text.split(/\s+/).join(" ");
  const opening = openingText({ ...budget, rounds: 0, epsilon: 0, roundsLeft: 29 }, 600);
  expect(words(opening)).toMatch(
    /^Privacy budget: epsilon 4 at delta 0.0001 for each of 600 clients/,
  );
  expect(words(opening)).toContain("lasts for 29 rounds");
  const spent = closingText({ ...budget, rounds: 29, epsilon: 3.98341, roundsLeft: 0 });
  expect(words(spent)).toMatch(
    /^The budget is spent: 29 rounds cost epsilon 3.984 of 4 at delta 0.0001/,
  );
  const left = closingText(budget);
  expect(words(left)).toMatch(/^Budget: 3 rounds cost epsilon 1.235 of 4 .* 26 more would fit/);
  for (const text of [opening, spent, left]) {
    expect(words(text)).toContain(words(budget.statement));
    for (const line of text.split("\n")) expect(line.length).toBeLessThan(80);
  }
});

test("[LE2] lines break between words, and no word is lost or cut", () => {
  expect(
    wrapped("a ".repeat(60).trim(), "  ")
      .split("\n")
      .map(({ length }) => length),
  ).toEqual([77, 45]);
  expect(wrapped("x".repeat(100))).toBe("x".repeat(100));
});

test("[LE1] epsilon is never shown smaller than it is", () => {
  expect(["1.2340", "1.2341", "0.0001", "0"].map((text) => epsilonText(Number(text)))).toEqual([
    "1.234",
    "1.235",
    "0.001",
    "0.000",
  ]);
});

test("[EX13] an abandoned round shows its reason, and a pipe gets no control characters", () => {
  const open = round({ phase: "reporting" });
  const text = written(
    { privacy: false, live: false },
    open,
    round({ phase: "abandoned", reason: "tooFewReports" }),
  );
  expect(text).toMatch(/^ round.*\n +0 .*\n +3 {2}abandoned: tooFewReports\n$/);
});

test("[EX13] a terminal sees the open round, and it is gone in the end", () => {
  const text = written({ privacy: false, live: true }, round({ phase: "reporting" }));
  expect(text).toContain("reporting 9/10");
  expect(text.endsWith("\u001b[2K")).toBe(true);
});

test("[EX13] a digit is drawn dark where its pixels are, without its empty rows", () => {
  const pixels = new Uint8Array(784);
  pixels[5 * 28 + 3] = 255;
  pixels[6 * 28 + 3] = 1;
  expect(drawDigit(pixels).map((row) => row.trimEnd())).toEqual(["      ██", "      ░░"]);
  expect(drawDigit(new Uint8Array(784))).toEqual([]);
});
