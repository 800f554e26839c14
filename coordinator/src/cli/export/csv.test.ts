import type { RoundResource } from "@tributary/protocol";
import { expect, test } from "vitest";

import { roundsCsv } from "./csv.ts";
import type { EndedRound } from "./history.ts";

const full = {
  roundId: "digits.7",
  taskId: "digits",
  roundNumber: 7,
  phase: "committed",
  baseModelVersion: 5,
  modelVersion: 6,
  openedAt: "2026-01-02T03:04:05.000Z",
  endedAt: "2026-01-02T03:04:08.250Z",
  phases: [
    { phase: "selecting", startedAt: "2026-01-02T03:04:05.000Z", durationMs: 1000 },
    { phase: "reporting", startedAt: "2026-01-02T03:04:06.000Z", durationMs: 2000 },
    { phase: "aggregating", startedAt: "2026-01-02T03:04:08.000Z", durationMs: 250 },
  ],
  participants: {
    selected: 10,
    reported: 4,
    pending: 0,
    declined: 1,
    left: 2,
    disconnected: 1,
    rejected: 1,
    timedOut: 1,
  },
  rejections: { UPDATE_NOT_FINITE: 2, UPDATE_CORRUPT: 1 },
  updateBytes: 4096,
  clippingNorm: 0.5,
  trainLoss: -0.125,
  evaluation: {
    source: "central",
    numExamples: 100,
    loss: 1e-7,
    accuracy: 0.9,
    macro: { precision: 0.8, recall: 0.7, f1: 0.6 },
    modelVersion: 6,
  },
  epsilon: 0.30000000000000004,
} as unknown as EndedRound;

/** Reads by the grammar of RFC 4180, and refuses everything else. */
function parse(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  let rest = text;
  while (rest !== "") {
    const match = /^(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/.exec(rest);
    if (match === null) throw new Error(`no CSV: ${rest.slice(0, 40)}`);
    row.push(match[1]?.replaceAll('""', '"') ?? match[2] ?? "");
    if (match[3] !== ",") {
      rows.push(row);
      row = [];
    }
    rest = rest.slice(match[0].length);
  }
  return rows;
}
function records(rounds: readonly EndedRound[]): Record<string, string>[] {
  const [header = [], ...rows] = parse(roundsCsv(rounds));
  for (const row of rows) expect(row).toHaveLength(header.length);
  return rows.map((row) => Object.fromEntries(header.map((name, i) => [name, row[i] ?? ""])));
}

test("[EP4] the columns have names with their units and an order that stays", () => {
  expect(parse(roundsCsv([]))).toEqual([
    [
      "task_id",
      "round_number",
      "outcome",
      "reason",
      "opened_at_utc",
      "ended_at_utc",
      "duration_seconds",
      "selecting_seconds",
      "reporting_seconds",
      "aggregating_seconds",
      "base_model_version",
      "model_version",
      "clients_selected",
      "clients_reported",
      "clients_declined",
      "clients_left",
      "clients_disconnected",
      "clients_rejected",
      "clients_timed_out",
      "updates_refused",
      "update_bytes",
      "train_loss",
      "evaluation_source",
      "evaluated_model_version",
      "evaluation_examples",
      "accuracy_fraction",
      "loss",
      "macro_precision_fraction",
      "macro_recall_fraction",
      "macro_f1_fraction",
      "clipping_norm",
      "epsilon",
    ],
  ]);
});

test("[EP4] every field of a round stands under its name, numbers in full", () => {
  expect(records([full])).toEqual([
    {
      task_id: "digits",
      round_number: "7",
      outcome: "committed",
      reason: "",
      opened_at_utc: "2026-01-02T03:04:05.000Z",
      ended_at_utc: "2026-01-02T03:04:08.250Z",
      duration_seconds: "3.25",
      selecting_seconds: "1",
      reporting_seconds: "2",
      aggregating_seconds: "0.25",
      base_model_version: "5",
      model_version: "6",
      clients_selected: "10",
      clients_reported: "4",
      clients_declined: "1",
      clients_left: "2",
      clients_disconnected: "1",
      clients_rejected: "1",
      clients_timed_out: "1",
      updates_refused: "3",
      update_bytes: "4096",
      train_loss: "-0.125",
      evaluation_source: "central",
      evaluated_model_version: "6",
      evaluation_examples: "100",
      accuracy_fraction: "0.9",
      loss: "1e-7",
      macro_precision_fraction: "0.8",
      macro_recall_fraction: "0.7",
      macro_f1_fraction: "0.6",
      clipping_norm: "0.5",
      epsilon: "0.30000000000000004",
    },
  ]);
});

test("[EP4] what is withheld is empty, and never a zero", () => {
  const { phases, participants, rejections, updateBytes, trainLoss, ...shown } = full;
  expect([phases, participants, rejections, updateBytes, trainLoss]).not.toContain(undefined);
  const [record] = records([shown]);
  const empty = Object.entries(record!).filter(([, value]) => value === "");
  expect(empty.map(([name]) => name)).toEqual([
    "reason",
    "selecting_seconds",
    "reporting_seconds",
    "aggregating_seconds",
    "clients_selected",
    "clients_reported",
    "clients_declined",
    "clients_left",
    "clients_disconnected",
    "clients_rejected",
    "clients_timed_out",
    "updates_refused",
    "update_bytes",
    "train_loss",
  ]);
});

test("[EP5] no text from a coordinator runs as a formula, breaks a row or leaves its field", () => {
  const formulas = [
    "=1+1",
    "+1",
    "-1+1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "＝1",
    "＋1",
    "－1",
    "＠1",
  ];
  const broken = ['say "hi", then\r\ngo', ",", '"', " padded "];
  const named = (reason: string) => ({ ...full, reason: reason as RoundResource["reason"] });
  const read = records([...formulas, ...broken].map((text) => named(text) as EndedRound));
  expect(read.map(({ reason }) => reason)).toEqual([...formulas.map((f) => `'${f}`), ...broken]);
  // Where a number belongs, a text is one, too.
  const [lying] = records([{ ...full, updateBytes: "=cmd|' /C calc'!A0" } as never]);
  expect(lying!.update_bytes).toBe("'=cmd|' /C calc'!A0");
  const [odd] = records([{ ...full, updateBytes: ["=1", 2], epsilon: null } as never]);
  expect([odd!.update_bytes, odd!.epsilon]).toEqual(['["=1",2]', "null"]);
});
