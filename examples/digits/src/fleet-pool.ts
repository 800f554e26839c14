/** The main process's side of the fleets: forks them, notices when one dies, and leaves none behind. */

import type { ChildProcess } from "node:child_process";
import { fork } from "node:child_process";

import { startFleet } from "./fleet.ts";
import type { FleetOptions } from "./fleet.ts";
import type { FromFleet, ToFleet } from "./fleet-messages.ts";

export interface FleetPoolOptions extends Omit<FleetOptions, "share" | "shares"> {
  /** Processes to spread the clients over; 0 keeps them in this one. */
  readonly processes: number;
  /** What went wrong, in words. */
  readonly onTrouble: (message: string) => void;
}

export interface FleetPool {
  readonly clients: number;
  readonly backend: string;
  /** Resolves when no fleet process is alive any more though nobody stopped them. */
  readonly lost: Promise<void>;
  close(): Promise<void>;
}

/** A fleet that does not stop by itself within this time is killed. */
const STOP_GRACE_MS = 5000;

/** @throws Error when a fleet cannot start; the others are stopped */
export async function startFleetPool(options: FleetPoolOptions): Promise<FleetPool> {
  const { processes, onTrouble, ...rest } = options;
  if (processes === 0) {
    const fleet = await startFleet({ ...rest, onTrouble, share: 0, shares: 1 });
    const { clients, backend } = fleet;
    return { clients, backend, lost: new Promise(() => undefined), close: () => fleet.close() };
  }

  const children = new Set<ChildProcess>();
  let closing = false;
  let reportLost: () => void = () => undefined;
  const lost = new Promise<void>((resolve) => (reportLost = resolve));

  const forkShare = (share: number) => {
    const child = fork(new URL("./fleet-process.js", import.meta.url), { stdio: "inherit" });
    children.add(child);
    child.once("exit", (code, signal) => {
      children.delete(child);
      if (closing) return;
      const how = signal ?? `exit code ${code ?? 0}`;
      onTrouble(`fleet ${share + 1} of ${processes} ended (${how}); its clients are gone`);
      if (children.size === 0) reportLost();
    });
    const start: ToFleet = { kind: "start", options: { ...rest, share, shares: processes } };
    child.send(start);
    return started(child, share, onTrouble);
  };

  const close = async () => {
    closing = true;
    await Promise.all([...children].map(stopChild));
  };

  try {
    const fleets = await Promise.all(Array.from({ length: processes }, (_, i) => forkShare(i)));
    return {
      clients: fleets.reduce((sum, { clients }) => sum + clients, 0),
      backend: [...new Set(fleets.map(({ backend }) => backend))].join(", "),
      lost,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function started(
  child: ChildProcess,
  share: number,
  onTrouble: (message: string) => void,
): Promise<Extract<FromFleet, { kind: "ready" }>> {
  return new Promise((resolve, reject) => {
    child.once("exit", (code, signal) => {
      reject(
        new Error(
          `fleet ${share + 1} ended while starting (${signal ?? `exit code ${code ?? 0}`})`,
        ),
      );
    });
    child.on("message", (message: FromFleet) => {
      if (message.kind === "ready") resolve(message);
      else if (message.kind === "failed") {
        reject(new Error(`fleet ${share + 1} could not start: ${message.message}`));
      } else onTrouble(message.message);
    });
  });
}

function stopChild(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => child.kill("SIGKILL"), STOP_GRACE_MS);
    child.once("exit", () => {
      clearTimeout(timer);
      resolve();
    });
    if (child.exitCode !== null || child.signalCode !== null) {
      clearTimeout(timer);
      resolve();
      return;
    }
    const stop: ToFleet = { kind: "stop" };
    // Fails when the child is dying already; its exit is awaited either way.
    if (child.connected) child.send(stop, () => undefined);
    else child.kill("SIGKILL");
  });
}
