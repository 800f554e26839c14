/** Training that tells of itself, and that a test can hold at its beginning, to see what happens in the middle of it. */

import type { Trainer } from "@tributary/client-sdk";

import { tell } from "./expose.ts";
import { watchFrames } from "./frames.ts";

/** Tells `training` when one begins, waits for `open`, and tells `trained`, with what was drawn meanwhile. */
export function watchTraining(trainer: Trainer, open: Promise<void>): Trainer {
  return {
    ...trainer,
    train: async (request) => {
      tell("training");
      const { signal } = request;
      const calledOff = new Promise<void>((resolve) => {
        signal.addEventListener("abort", () => resolve());
      });
      await Promise.race([open, calledOff]);
      const frames = watchFrames();
      const result = await trainer.train(request);
      tell("trained", frames());
      return result;
    },
  };
}

export interface Gate {
  readonly open: Promise<void>;
  readonly letGo: () => void;
}

export function makeGate(): Gate {
  let letGo = () => {};
  const open = new Promise<void>((resolve) => (letGo = resolve));
  return { open, letGo };
}
