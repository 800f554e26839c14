import type { MonitoringEvent, RoundResource } from "@tributary/protocol";
import { roundIdOf, parseTaskId } from "@tributary/protocol";
import { expect, test } from "vitest";

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

function written(options: { privacy: boolean; live: boolean }, ...events: MonitoringEvent[]) {
  let text = "";
  const table = createRoundTable({ ...options, write: (part) => (text += part) });
  events.forEach((event) => table.observe(event));
  table.end();
  return text;
}

test("[EX13] a committed round shows accuracy, loss, reports, bytes and seconds", () => {
  const text = written({ privacy: false, live: false }, round({}));
  const [header, line, rest] = text.split("\n").map((part) => part.trim().split(/ {2,}/));
  expect(header).toEqual(["round", "accuracy", "loss", "reports", "bytes", "seconds"]);
  expect(line).toEqual(["3", "96.51 %", "0.1234", "9/10", "7.2 MB", "2.5"]);
  expect(rest).toEqual([""]);
});

test("[EX13] epsilon has a column only under differential privacy", () => {
  const text = written({ privacy: true, live: false }, round({ epsilon: 1.23456 }));
  expect(text).toMatch(/epsilon\n.* 1\.235\n$/);
});

test("[EX13] an abandoned round shows its reason, and a pipe gets no control characters", () => {
  const open = round({ phase: "reporting" });
  const text = written(
    { privacy: false, live: false },
    open,
    round({ phase: "abandoned", reason: "tooFewReports" }),
  );
  expect(text).toMatch(/^ round.*\n +3 {2}abandoned: tooFewReports\n$/);
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
