import type { MonitoringEvent, RoundResource, TaskId } from "@tributary/protocol";
import { ERROR_CODES } from "@tributary/protocol";
import { register as globalRegister } from "prom-client";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { createMetrics } from "./metrics.ts";
import type { Metrics } from "./metrics.ts";

const taskId = "digits" as TaskId;
const base = { id: "1", at: "2026-01-01T00:00:00.000Z", taskId };

const round = (data: Partial<RoundResource>): MonitoringEvent => ({
  ...base,
  type: "round:phaseChanged",
  data: {
    roundId: "digits.1" as RoundResource["roundId"],
    taskId,
    roundNumber: 1,
    phase: "committed",
    baseModelVersion: 0,
    openedAt: base.at,
    phases: [],
    participants: {
      ...{ selected: 0, reported: 0, pending: 0, declined: 0 },
      ...{ left: 0, disconnected: 0, rejected: 0, timedOut: 0 },
    },
    rejections: {},
    updateBytes: 0,
    ...data,
  },
});

let metrics: Metrics;
beforeEach(() => {
  metrics = createMetrics();
});
afterEach(() => metrics.stop());

/** The value of one series. */
async function read(series: string): Promise<number | undefined> {
  const line = (await metrics.render("operator"))
    .split("\n")
    .find((text) => text.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
}

describe("metrics", () => {
  it("[MO5] count rounds by outcome and reason, only when they have ended", async () => {
    metrics.observe(round({ phase: "reporting" }));
    metrics.observe(round({ phase: "committed" }));
    metrics.observe(round({ phase: "committed" }));
    metrics.observe(round({ phase: "abandoned", reason: "tooFewReports" }));
    const name = "tributary_rounds_total";
    expect(await read(`${name}{task="digits",outcome="committed",reason="none"}`)).toBe(2);
    expect(await read(`${name}{task="digits",outcome="abandoned",reason="tooFewReports"}`)).toBe(1);
  });

  it("[MO5] measure phases in seconds, once for each round", async () => {
    const phases = [
      { phase: "selecting", startedAt: base.at, durationMs: 250 },
      { phase: "reporting", startedAt: base.at, durationMs: 4000 },
      { phase: "committed", startedAt: base.at, durationMs: 0 },
    ] as const;
    metrics.observe(round({ phase: "aggregating", phases }));
    metrics.observe(round({ phase: "committed", phases }));
    const name = "tributary_round_phase_duration_seconds";
    expect(await read(`${name}_sum{task="digits",phase="selecting"}`)).toBe(0.25);
    expect(await read(`${name}_count{task="digits",phase="reporting"}`)).toBe(1);
    expect(await read(`${name}_bucket{le="5",task="digits",phase="reporting"}`)).toBe(1);
    expect(await read(`${name}_bucket{le="1",task="digits",phase="reporting"}`)).toBe(0);
    expect(await read(`${name}_count{task="digits",phase="committed"}`)).toBeUndefined();
  });

  it("[MO6] show model version, evaluation and epsilon of each task", async () => {
    const evaluation = {
      source: "central",
      numExamples: 10,
      loss: 0.5,
      accuracy: 0.75,
      macro: { precision: 0.1, recall: 0.2, f1: 0.3 },
    } as const;
    metrics.observe({
      ...base,
      type: "model:published",
      data: { modelVersion: 4, evaluation } as never,
    });
    metrics.observe(round({ epsilon: 2.5 }));
    expect(await read('tributary_model_version{task="digits"}')).toBe(4);
    expect(await read('tributary_evaluation{task="digits",metric="accuracy"}')).toBe(0.75);
    expect(await read('tributary_evaluation{task="digits",metric="macro_f1"}')).toBe(0.3);
    expect(await read('tributary_evaluation{task="digits",metric="loss"}')).toBe(0.5);
    expect(await read('tributary_privacy_epsilon{task="digits"}')).toBe(2.5);
    metrics.observe(round({ evaluation: { ...evaluation, accuracy: 0.8, modelVersion: 4 } }));
    expect(await read('tributary_evaluation{task="digits",metric="accuracy"}')).toBe(0.8);
  });

  it("[MO7] count updates by outcome, and bytes in and out", async () => {
    metrics.updateAccepted(taskId);
    metrics.updateRejected(taskId, "UPDATE_NOT_FINITE");
    metrics.updateRejected(undefined, "UNAUTHENTICATED");
    metrics.bytesReceived(100);
    metrics.bytesReceived(20);
    metrics.bytesSent(7);
    expect(await read('tributary_updates_accepted_total{task="digits"}')).toBe(1);
    const rejected = "tributary_updates_rejected_total";
    expect(await read(`${rejected}{task="digits",code="UPDATE_NOT_FINITE"}`)).toBe(1);
    expect(await read(`${rejected}{task="none",code="UNAUTHENTICATED"}`)).toBe(1);
    expect(await read("tributary_received_bytes_total")).toBe(120);
    expect(await read("tributary_sent_bytes_total")).toBe(7);
  });

  it("[AL12] count changes that were asked for without the right to, by code", async () => {
    for (const code of ["FORBIDDEN", "UNAUTHENTICATED", "FORBIDDEN"] as const) {
      metrics.actionRefused(code);
    }
    expect(await read('tributary_admin_refusals_total{code="FORBIDDEN"}')).toBe(2);
    expect(await read('tributary_admin_refusals_total{code="UNAUTHENTICATED"}')).toBe(1);
  });

  it("[MO7] ask for the clients at each scrape, and forget tasks that are gone", async () => {
    let waiting = [{ taskId, clients: 3 }];
    metrics.watchClients(() => ({ connected: 5, waiting }));
    expect(await read("tributary_clients_connected")).toBe(5);
    expect(await read('tributary_clients_waiting{task="digits"}')).toBe(3);
    waiting = [];
    expect(await read('tributary_clients_waiting{task="digits"}')).toBeUndefined();
  });

  it("[MO8] show the event loop's delay since the last scrape, in seconds", async () => {
    await metrics.render("operator");
    await new Promise((resolve) => setTimeout(resolve, 30));
    const until = performance.now() + 500;
    while (performance.now() < until);
    await new Promise((resolve) => setTimeout(resolve, 30));
    const longest = 'tributary_event_loop_delay_seconds{quantile="1"}';
    expect(await read(longest)).toBeGreaterThan(0.4);
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(await read(longest)).toBeLessThan(0.4);
    expect(await read("process_resident_memory_bytes")).toBeGreaterThan(1e7);
    expect(await read("process_cpu_seconds_total")).toBeGreaterThan(0);
  });

  it("[MO9] the number of series is bounded by tasks, whatever is sent", async () => {
    const count = async () => (await metrics.render("operator")).split("\n").length;
    const feed = () => {
      for (const code of ERROR_CODES) {
        metrics.updateRejected(taskId, code);
        metrics.updateRejected(undefined, code);
      }
      metrics.updateAccepted(taskId);
      const phases = [{ phase: "reporting", startedAt: base.at, durationMs: 5 }] as const;
      metrics.observe(round({ roundNumber: Math.random(), phases }));
    };
    feed();
    const before = await count();
    for (let i = 0; i < 50; i++) feed();
    expect(await count()).toBe(before);
    const text = await metrics.render("operator");
    const labels = new Set([...text.matchAll(/[{,]([a-z_]+)="/g)].map((match) => match[1]));
    expect([...labels].sort()).toEqual([
      "code",
      "le",
      "outcome",
      "phase",
      "quantile",
      "reason",
      "task",
    ]);
  });

  it("[MO9] two coordinators in one process do not mix, and nothing is global", async () => {
    const other = createMetrics();
    other.updateAccepted(taskId);
    expect(await read('tributary_updates_accepted_total{task="digits"}')).toBeUndefined();
    expect(globalRegister.getMetricsAsArray()).toEqual([]);
    other.stop();
    expect((await other.render("operator")).trim()).toBe("");
  });
});
