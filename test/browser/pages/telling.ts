/** Tells the test what happens to a participant, and what is sent. */

import type { Participant } from "@tributary/client-sdk";

import { tell } from "./expose.ts";

export function tellAbout(participant: Participant): void {
  participant.on("state", (state) => tell("state", state));
  participant.on("assigned", ({ roundNumber }) => tell("assigned", roundNumber));
  participant.on("reported", ({ status }) => tell("reported", status));
  participant.on("closed", ({ roundId, outcome }) => tell("closed", { roundId, outcome }));
  participant.on("paused", (reasons) => tell("paused", reasons));
  participant.on("error", ({ code, message }) => tell("error", { code, message }));
  participant.on("ended", (end) => tell("ended", end));
}

/** A `fetch` that tells `sent`, with the bytes, for each update, and waits for `open` before it goes out. */
export function watchUploads(
  fetch: typeof globalThis.fetch,
  open: Promise<void>,
): typeof globalThis.fetch {
  return async (input, init) => {
    if (init?.method === "PUT") {
      tell("sent", [...(init.body as Uint8Array)]);
      const { signal } = init;
      const calledOff = new Promise<void>((resolve) => {
        signal?.addEventListener("abort", () => resolve());
      });
      await Promise.race([open, calledOff]);
    }
    return fetch(input, init);
  };
}
