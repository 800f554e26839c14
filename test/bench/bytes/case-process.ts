/** Runs one case on word from the main process, tells each round, and ends with it. */

import type { BytesCase, BytesSettings } from "./cases.ts";
import type { BytesResult } from "./run-case.ts";
import { runBytesCase } from "./run-case.ts";

export interface ToCase {
  readonly bytesCase: BytesCase;
  readonly seed: number;
  readonly settings: BytesSettings;
}

export type FromCase =
  | { readonly kind: "round"; readonly round: number }
  | { readonly kind: "done"; readonly result: BytesResult };

const tell = (message: FromCase) => void process.send?.(message);

process.on("message", ({ bytesCase, seed, settings }: ToCase) => {
  void runBytesCase(bytesCase, seed, settings, (round) => tell({ kind: "round", round })).then(
    (result) => {
      tell({ kind: "done", result });
      process.disconnect();
    },
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
});
process.on("disconnect", () => process.exit());
