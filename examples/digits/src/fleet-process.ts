/** Entry point of a fleet process: starts its clients on word from the main process, and goes with it. */

import type { Fleet } from "./fleet.ts";
import { startFleet } from "./fleet.ts";
import type { FromFleet, ToFleet } from "./fleet-messages.ts";

let starting: Promise<Fleet> | undefined;

const tell = (message: FromFleet) => void process.send?.(message);

async function start(message: Extract<ToFleet, { kind: "start" }>): Promise<void> {
  try {
    starting = startFleet({
      ...message.options,
      onTrouble: (text) => tell({ kind: "trouble", message: text }),
    });
    const { clients, backend } = await starting;
    tell({ kind: "ready", clients, backend });
  } catch (error) {
    tell({ kind: "failed", message: error instanceof Error ? error.message : String(error) });
    process.exitCode = 1;
    process.disconnect();
  }
}

async function stop(): Promise<void> {
  try {
    const fleet = await starting;
    await fleet?.close();
  } finally {
    process.exit();
  }
}

process.on("message", (message: ToFleet) => {
  void (message.kind === "start" ? start(message) : stop());
});
// Without the main process there is nothing to do: no orphan stays behind, however it died.
process.on("disconnect", () => process.exit());
// Ctrl-C reaches the whole group; the main process decides when the fleets stop.
process.on("SIGINT", () => undefined);
