/** Loaded before a server: tells the memory and CPU time of its process to who started it, and dies with that. */

process.on("message", ({ ask, collect }) => {
  if (ask !== "vitals") return;
  // Twice: what finalisers let go of is garbage of the second pass.
  if (collect) for (let i = 0; i < 2; i++) globalThis.gc();
  const { rss, heapUsed, external } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  process.send({
    ...{ rss, heapUsed, external },
    cpuMs: (user + system) / 1000,
    wallMs: performance.now(),
  });
});
process.on("disconnect", () => process.kill(process.pid, "SIGKILL"));
process.channel?.unref();
