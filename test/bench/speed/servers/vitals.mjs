/** Loaded before a server: tells how its process is to who started it, and dies with that. */

import { monitorEventLoopDelay } from "node:perf_hooks";

/** Of its event loop, while somebody wants to know. */
let watch;

const answers = {
  vitals: ({ collect }) => {
    // Twice: what finalisers let go of is garbage of the second pass.
    if (collect) for (let i = 0; i < 2; i++) globalThis.gc();
    const { rss, heapUsed, external } = process.memoryUsage();
    const { user, system } = process.cpuUsage();
    return {
      ...{ rss, heapUsed, external },
      cpuMs: (user + system) / 1000,
      wallMs: performance.now(),
    };
  },
  watch: ({ resolutionMs }) => {
    const monitor = monitorEventLoopDelay({ resolution: resolutionMs });
    monitor.enable();
    watch = { monitor, resolutionMs };
    return {};
  },
  delays: () => {
    const { monitor, resolutionMs } = watch;
    monitor.disable();
    // A timer that was due after so long, and came later.
    const late = (nanoseconds) => Math.max(0, nanoseconds / 1e6 - resolutionMs);
    return {
      p50Ms: late(monitor.percentile(50)),
      p99Ms: late(monitor.percentile(99)),
      maxMs: late(monitor.max),
    };
  },
};

process.on("message", (question) => {
  const answer = answers[question.ask];
  if (answer !== undefined) process.send(answer(question));
});
process.on("disconnect", () => process.kill(process.pid, "SIGKILL"));
process.channel?.unref();
