/** `npm run digits-browser`: starts everything, says where the page is, and tells of each round. */

import { once } from "node:events";

import type { Demo } from "./demo.ts";
import { startDemo } from "./demo.ts";
import type { DigitsBrowserOptions } from "./options.ts";
import { parseOptions } from "./options.ts";

const interruption = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    // A second Ctrl-C does not wait for the tidy end.
    if (interruption.signal.aborted) process.exit(130);
    interruption.abort();
  });
}

async function main(options: DigitsBrowserOptions): Promise<void> {
  await using demo = await startDemo({
    ...options,
    onTrouble: (message) => console.error(`! ${message}`),
  });
  const { neighbours, imagesEach } = options;
  console.log(
    `Draw digits and train along:  ${demo.pageUrl}\n` +
      `Watch the rounds:             ${demo.coordinatorUrl}/dashboard\n\n` +
      `coordinator at ${demo.coordinatorUrl}, ` +
      `${neighbours} Node clients with ${imagesEach} images each; Ctrl-C stops\n`,
  );
  const over = tellRounds(demo);
  await Promise.race([...(options.exit ? [over] : []), interrupted()]);
}

/** One line for each round. @returns when the task has ended */
function tellRounds({ coordinator }: Demo): Promise<void> {
  return new Promise((resolve) => {
    coordinator.events.subscribe((event) => {
      if (event.type === "task:stateChanged" && event.data.state === "ended") {
        console.log(`training has ended: ${event.data.reason ?? "it was ended"}`);
        resolve();
      }
      if (event.type !== "round:phaseChanged" || event.data.endedAt === undefined) return;
      const { roundNumber, phase, reason, participants, evaluation } = event.data;
      const accuracy = ((evaluation?.accuracy ?? 0) * 100).toFixed(1);
      console.log(
        phase === "committed"
          ? `round ${roundNumber}: ${participants?.reported ?? "?"} clients, accuracy ${accuracy} %`
          : `round ${roundNumber}: ${phase}, ${reason ?? "no reason given"}`,
      );
    });
  });
}

async function interrupted(): Promise<void> {
  if (!interruption.signal.aborted) await once(interruption.signal, "abort");
}

try {
  await main(parseOptions(process.argv.slice(2)));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
