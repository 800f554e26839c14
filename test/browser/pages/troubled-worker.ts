/** A Worker with the trouble that its name says. */

import type { Trainer } from "@tributary/client-sdk";
import { serveWorker } from "@tributary/client-sdk/worker";

// TypeScript takes this file for one of a page.
const name: string = self.name;

/** What happens when it is asked to train. */
const TROUBLES: Readonly<Record<string, () => void>> = {
  ends: () => close(),
  hangs: () => {
    for (;;);
  },
  throwsAside: () => void setTimeout(() => fail("thrown beside the work"), 0),
};

function fail(text: string): never {
  throw new Error(text);
}

if (name === "throws") fail("it cannot load");
// What is loaded at the top may take its time: who knocks meanwhile is not heard.
if (name === "late") await new Promise((resolve) => setTimeout(resolve, 100));

const trainer: Trainer = {
  train: async ({ weights, onProgress }) => {
    TROUBLES[name]?.();
    if (name === "ends") await new Promise(() => undefined);
    onProgress?.({ epoch: 1, epochs: 1, batch: 1, batches: 1, examples: 1, loss: 0.5 });
    return { weights: weights.map((weight) => weight + 1), numExamples: 1, metrics: {} };
  },
};
if (name !== "silent") serveWorker({ trainer: () => trainer });
