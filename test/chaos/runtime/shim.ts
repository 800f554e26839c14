/**
 * Preloaded into a real coordinator process: makes its wall clock jump or its event loop stand still when
 * SIGUSR2 comes. The coordinator knows nothing of it.
 */

/** Milliseconds by which the wall clock is wrong from the start. */
const OFFSET_VARIABLE = "CHAOS_CLOCK_OFFSET_MS";
/** Milliseconds by which each SIGUSR2 moves the wall clock. */
const JUMP_VARIABLE = "CHAOS_CLOCK_JUMP_MS";
/** Milliseconds for which each SIGUSR2 blocks the event loop. */
const BLOCK_VARIABLE = "CHAOS_BLOCK_MS";

const numberOf = (name: string) => Number(process.env[name] ?? 0);
let offsetMs = numberOf(OFFSET_VARIABLE);

const RealDate = Date;
const now = () => RealDate.now() + offsetMs;
globalThis.Date = new Proxy(RealDate, {
  construct: (target, args: unknown[], newTarget) =>
    Reflect.construct(target, args.length > 0 ? args : [now()], newTarget) as Date,
  get: (target, name) => (name === "now" ? now : (Reflect.get(target, name) as unknown)),
});

process.on("SIGUSR2", () => {
  offsetMs += numberOf(JUMP_VARIABLE);
  const blockMs = numberOf(BLOCK_VARIABLE);
  if (blockMs > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, blockMs);
  process.stderr.write("the chaos shim has acted\n");
});
