/** The parent's side of those who send: `upload-senders.ts` in a process of its own. */

import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

import { answerOf } from "./servers/child.ts";
import type { Batch, FromSenders, ToSenders } from "./upload-senders.ts";

export interface Senders extends AsyncDisposable {
  /** Gives them a body to send, by name. */
  keep(name: string, bytes: Uint8Array): Promise<void>;
  /** Resolves when every upload has been answered. @throws Error when one was refused */
  send(batch: Batch): Promise<void>;
}

const PROGRAM = fileURLToPath(new URL("./upload-senders.ts", import.meta.url));

export async function startSenders(): Promise<Senders> {
  const child = fork(PROGRAM, { serialization: "advanced" });
  await once(child, "spawn");
  const ask = async (message: ToSenders): Promise<void> => {
    const answer = await answerOf<FromSenders>(child, message);
    if (answer.type === "failed") throw new Error(answer.message);
  };
  return {
    keep: (name, bytes) => ask({ type: "body", name, bytes }),
    send: (batch) => ask({ type: "batch", batch }),
    [Symbol.asyncDispose]: async () => {
      const exited = once(child, "exit");
      child.disconnect();
      await exited;
    },
  };
}
