/**
 * Prometheus metrics. Labels are task names and enumerations only, never anything of one client, so
 * that the number of series is bounded by the number of tasks. Each metric says for whom it is: of a task
 * under privacy, counts and times that depend on its clients are the operator's alone.
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

/** Those of a task under privacy are the operator's; or all of them are while there is such a task. */
type Audience = "anyone" | "plainTasks" | "noPrivateTask";

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
  /** Asks `source` at each scrape. Until it is called nothing of any task is for anyone but the operator. */
  watchTasks(
    source: () => readonly { readonly taskId: TaskId; readonly isPrivate: boolean }[],
  ): void;
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
  render(audience: "operator" | "anyone"): Promise<string>;
  /** Releases timers and everything that was counted. */
  stop(): void;
}

/** From a phase that was over at once to one that took an hour. */
const PHASE_SECONDS = [0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600];

export function createMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  /** A metric that nobody has named an audience for is the operator's. */
  const audiences = new Map<string, Audience>();
  const counter = <Label extends string>(
    [name, audience]: readonly [string, Audience],
    help: string,
    labelNames: Label[] = [],
  ) => {
    audiences.set(`tributary_${name}`, audience);
    return new Counter({ name: `tributary_${name}`, help, labelNames, registers });
  };
  const gauge = <Label extends string>(
    [name, audience]: readonly [string, Audience],
    help: string,
    labelNames: Label[] = [],
  ) => {
    audiences.set(`tributary_${name}`, audience);
    return new Gauge({ name: `tributary_${name}`, help, labelNames, registers });
  };

  const rounds = counter(
    ["rounds_total", "plainTasks"],
    "Rounds that ended, by outcome and reason",
    ["task", "outcome", "reason"],
  );
  const phases = new Histogram({
    name: "tributary_round_phase_duration_seconds",
    help: "Time that ended rounds spent in each phase",
    labelNames: ["task", "phase"],
    buckets: PHASE_SECONDS,
    registers,
  });
  audiences.set("tributary_round_phase_duration_seconds", "plainTasks");
  const accepted = counter(["updates_accepted_total", "plainTasks"], "Updates counted, once each", [
    "task",
  ]);
  const rejected = counter(
    ["updates_rejected_total", "plainTasks"],
    "Updates refused, by error code",
    ["task", "code"],
  );
  const refusals = counter(
    ["limit_refusals_total", "noPrivateTask"],
    "Refusals because of a limit, by its setting",
    ["limit"],
  );
  const actionsRefused = counter(
    ["admin_refusals_total", "anyone"],
    "Changes asked for without the right to, by error code",
    ["code"],
  );
  // Divided by the size of a frame they are numbers of clients.
  const received = counter(
    ["received_bytes_total", "noPrivateTask"],
    "Bytes of update frames received",
  );
  /** Since the last scrape: it is told of each piece of each upload. */
  let receivedBytes = 0;
  const sent = counter(["sent_bytes_total", "noPrivateTask"], "Bytes of checkpoint frames sent");
  const version = gauge(["model_version", "anyone"], "Newest published model version", ["task"]);
  const evaluation = gauge(["evaluation", "anyone"], "Newest evaluation of the model, by measure", [
    "task",
    "metric",
  ]);
  const epsilon = gauge(["privacy_epsilon", "anyone"], "Epsilon spent so far", ["task"]);
  const connected = gauge(["clients_connected", "noPrivateTask"], "Clients connected now");
  const waiting = gauge(["clients_waiting", "plainTasks"], "Clients waiting for a round now", [
    "task",
  ]);
  const stopProcess = watchProcess(registry, (name) => audiences.set(name, "anyone"));

  let clients: (() => ClientCounts) | undefined;
  let tasks:
    (() => readonly { readonly taskId: TaskId; readonly isPrivate: boolean }[]) | undefined;

  /** The metrics without what is the operator's alone. */
  async function renderForAnyone(): Promise<string> {
    const known = tasks?.() ?? [];
    const plain = new Set<string>();
    for (const { taskId, isPrivate } of known) if (!isPrivate) plain.add(taskId);
    const hasPrivate = tasks === undefined || plain.size < known.length;
    // Updates that nobody could be admitted for may have been meant for any task.
    if (!hasPrivate) plain.add("none");
    const texts = registry.getMetricsAsArray().map(async ({ name }) => {
      const audience = audiences.get(name);
      if (audience === undefined || (audience === "noPrivateTask" && hasPrivate)) return "";
      const text = await registry.getSingleMetricAsString(name);
      if (audience !== "plainTasks") return text;
      const isShown = (line: string) =>
        line.startsWith("#") || plain.has(/[{,]task="([^"]*)"/.exec(line)?.[1] ?? "");
      return text.split("\n").filter(isShown).join("\n");
    });
    return `${(await Promise.all(texts)).filter((text) => text !== "").join("\n\n")}\n`;
  }

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
    for (const { phase, durationMs } of round.phases ?? []) {
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
    watchTasks: (source) => {
      tasks = source;
    },
    watchCertificate: (source) => {
      audiences.set("tributary_tls_certificate_expiry_seconds", "anyone");
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
    bytesReceived: (bytes) => {
      receivedBytes += bytes;
    },
    bytesSent: (bytes) => sent.inc(bytes),
    contentType: registry.contentType,
    render: (audience) => {
      received.inc(receivedBytes);
      receivedBytes = 0;
      const counts = clients?.();
      connected.set(counts?.connected ?? 0);
      waiting.reset();
      for (const { taskId, clients: count } of counts?.waiting ?? []) {
        waiting.set({ task: taskId }, count);
      }
      return audience === "operator" ? registry.metrics() : renderForAnyone();
    },
    stop: () => {
      clients = undefined;
      tasks = undefined;
      stopProcess();
      registry.clear();
    },
  };
}
