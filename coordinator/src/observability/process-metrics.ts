/** Metrics of the process itself: CPU, memory, event loop. */

import { monitorEventLoopDelay } from "node:perf_hooks";

import type { Registry } from "prom-client";
import { Counter, Gauge } from "prom-client";

/** The event loop is looked at so often; delays are counted from here, so an idle loop shows 0. */
const RESOLUTION_MS = 10;
const QUANTILES = { "0.5": 50, "0.9": 90, "0.99": 99, "1": 100 } as const;

/**
 * Adds the metrics to `registry`. Each scrape tells the event-loop delay since the scrape before it:
 * with several scrapers each sees only the time since anyone's last one.
 * @param onName told of each metric's name
 * @returns a function that stops watching
 */
export function watchProcess(registry: Registry, onName: (name: string) => void): () => void {
  const registers = [registry];
  const before = new Set(registry.getMetricsAsArray().map(({ name }) => name));
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();

  new Gauge({
    name: "tributary_event_loop_delay_seconds",
    help: "Delay of the event loop since the last scrape, by quantile; 1 is the longest",
    labelNames: ["quantile"],
    registers,
    collect() {
      for (const [quantile, percentile] of Object.entries(QUANTILES)) {
        const measured = delay.count === 0 ? 0 : delay.percentile(percentile);
        this.set({ quantile }, Math.max(0, measured / 1e9 - RESOLUTION_MS / 1000));
      }
      delay.reset();
    },
  });
  new Counter({
    name: "process_cpu_seconds_total",
    help: "CPU time of the process, user and system",
    registers,
    collect() {
      const { user, system } = process.cpuUsage();
      this.reset();
      this.inc((user + system) / 1e6);
    },
  });
  new Gauge({
    name: "process_start_time_seconds",
    help: "Start of the process since the Unix epoch",
    registers,
  }).set(Math.round(Date.now() / 1000 - process.uptime()));

  const memory = [
    ["process_resident_memory_bytes", "Resident memory", "rss"],
    ["nodejs_heap_size_used_bytes", "JavaScript heap in use", "heapUsed"],
    ["nodejs_heap_size_total_bytes", "JavaScript heap reserved", "heapTotal"],
    ["nodejs_external_memory_bytes", "Memory outside the heap, buffers included", "external"],
  ] as const;
  for (const [name, help, field] of memory) {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(process.memoryUsage()[field]);
      },
    });
  }

  for (const { name } of registry.getMetricsAsArray()) if (!before.has(name)) onName(name);
  return () => delay.disable();
}
