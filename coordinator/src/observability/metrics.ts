/**
 * Prometheus metrics. Labels are task names and enumerations only, never anything of one client, so
 * that the number of series is bounded by the number of tasks.
 */

import type {
  ErrorCode,
  Evaluation,
  MonitoringEvent,
  RoundResource,
  TaskId,
  TaskResource,
} from "@tributary/protocol";
import { Counter, Gauge, Histogram, Registry } from "prom-client";

import type { Limit } from "../limits/limit.ts";
import { watchProcess } from "./process-metrics.ts";

/** Clients as they are at the moment of a scrape. */
export interface ClientCounts {
  readonly connected: number;
  readonly waiting: readonly { readonly taskId: TaskId; readonly clients: number }[];
}

export interface Metrics {
  /** Rounds, phases, model version, evaluation and epsilon of every task, from the events. */
  observe(event: MonitoringEvent): void;
  /** Shows at once where a task stands that goes on after a restart. */
  restore(task: Pick<TaskResource, "taskId" | "checkpoint" | "evaluation">, epsilon?: number): void;
  /** Asks `source` at each scrape. */
  watchClients(source: () => ClientCounts): void;
  /** Asks `source` for the seconds that the TLS certificate has left at each scrape. */
  watchCertificate(source: () => number): void;
  updateAccepted(taskId: TaskId): void;
  /** @param taskId absent when the sender could not be admitted: its claim is not believed */
  updateRejected(taskId: TaskId | undefined, code: ErrorCode): void;
  /** Somebody was over a limit. */
  refused(limit: Limit): void;
  /** Somebody asked for a change who may not: none of it is in the audit log. */
  actionRefused(code: ErrorCode): void;
  /** Bytes of update frames, refused ones too. */
  bytesReceived(bytes: number): void;
  /** Bytes of checkpoints. */
  bytesSent(bytes: number): void;
  readonly contentType: string;
  /** The text that a scrape is answered with. */
  render(): Promise<string>;
  /** Releases timers and everything that was counted. */
  stop(): void;
}

/** From a phase that was over at once to one that took an hour. */
const PHASE_SECONDS = [0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600];

export function createMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const counter = <Label extends string>(name: string, help: string, labelNames: Label[] = []) =>
    new Counter({ name: `tributary_${name}`, help, labelNames, registers });
  const gauge = <Label extends string>(name: string, help: string, labelNames: Label[] = []) =>
    new Gauge({ name: `tributary_${name}`, help, labelNames, registers });

  const rounds = counter("rounds_total", "Rounds that ended, by outcome and reason", [
    "task",
    "outcome",
    "reason",
  ]);
  const phases = new Histogram({
    name: "tributary_round_phase_duration_seconds",
    help: "Time that ended rounds spent in each phase",
    labelNames: ["task", "phase"],
    buckets: PHASE_SECONDS,
    registers,
  });
  const accepted = counter("updates_accepted_total", "Updates counted, once each", ["task"]);
  const rejected = counter("updates_rejected_total", "Updates refused, by error code", [
    "task",
    "code",
  ]);
  const refusals = counter("limit_refusals_total", "Refusals because of a limit, by its setting", [
    "limit",
  ]);
  const actionsRefused = counter(
    "admin_refusals_total",
    "Changes asked for without the right to, by error code",
    ["code"],
  );
  const received = counter("received_bytes_total", "Bytes of update frames received");
  const sent = counter("sent_bytes_total", "Bytes of checkpoint frames sent");
  const version = gauge("model_version", "Newest published model version", ["task"]);
  const evaluation = gauge("evaluation", "Newest evaluation of the model, by measure", [
    "task",
    "metric",
  ]);
  const epsilon = gauge("privacy_epsilon", "Epsilon spent so far", ["task"]);
  const connected = gauge("clients_connected", "Clients connected now");
  const waiting = gauge("clients_waiting", "Clients waiting for a round now", ["task"]);
  const stopProcess = watchProcess(registry);

  let clients: (() => ClientCounts) | undefined;

  function evaluated(task: TaskId, result: Evaluation | undefined): void {
    if (result === undefined) return;
    const { loss, accuracy, macro } = result;
    const measures = {
      loss,
      accuracy,
      macro_precision: macro?.precision,
      macro_recall: macro?.recall,
      macro_f1: macro?.f1,
    };
    for (const [metric, value] of Object.entries(measures)) {
      if (value !== undefined) evaluation.set({ task, metric }, value);
    }
  }

  function ended(round: RoundResource, outcome: "committed" | "abandoned"): void {
    const task = round.taskId;
    rounds.inc({ task, outcome, reason: round.reason ?? "none" });
    for (const { phase, durationMs } of round.phases) {
      if (phase === "committed" || phase === "abandoned") continue;
      phases.observe({ task, phase }, durationMs / 1000);
    }
    evaluated(task, round.evaluation);
    if (round.epsilon !== undefined) epsilon.set({ task }, round.epsilon);
  }

  return {
    observe: (event) => {
      if (event.type === "round:phaseChanged") {
        const { phase } = event.data;
        if (phase === "committed" || phase === "abandoned") ended(event.data, phase);
      } else if (event.type === "task:created") {
        version.set({ task: event.taskId }, 0);
      } else if (event.type === "model:published") {
        version.set({ task: event.taskId }, event.data.modelVersion);
        evaluated(event.taskId, event.data.evaluation);
      }
    },
    restore: ({ taskId, checkpoint, evaluation: result }, spent) => {
      version.set({ task: taskId }, checkpoint.modelVersion);
      evaluated(taskId, result);
      if (spent !== undefined) epsilon.set({ task: taskId }, spent);
    },
    watchClients: (source) => {
      clients = source;
    },
    watchCertificate: (source) => {
      new Gauge({
        name: "tributary_tls_certificate_expiry_seconds",
        help: "Time until the TLS certificate expires; negative once it has",
        registers,
        collect() {
          this.set(source());
        },
      });
    },
    updateAccepted: (task) => accepted.inc({ task }),
    updateRejected: (task, code) => rejected.inc({ task: task ?? "none", code }),
    refused: (limit) => refusals.inc({ limit }),
    actionRefused: (code) => actionsRefused.inc({ code }),
    bytesReceived: (bytes) => received.inc(bytes),
    bytesSent: (bytes) => sent.inc(bytes),
    contentType: registry.contentType,
    render: () => {
      const counts = clients?.();
      connected.set(counts?.connected ?? 0);
      waiting.reset();
      for (const { taskId, clients: count } of counts?.waiting ?? []) {
        waiting.set({ task: taskId }, count);
      }
      return registry.metrics();
    },
    stop: () => {
      clients = undefined;
      stopProcess();
      registry.clear();
    },
  };
}
