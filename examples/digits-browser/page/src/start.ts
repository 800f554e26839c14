/** What the page needs before it can show anything: its configuration, the device, the drawings, the Worker. */

import type { Device } from "@tributary/client-sdk/browser";
import { openDevice } from "@tributary/client-sdk/browser";
import type { NestedNumbers, PredictorInput } from "@tributary/client-sdk/tfjs";
import type { WorkerConnection } from "@tributary/client-sdk/worker";
import { connectWorker } from "@tributary/client-sdk/worker";

import type { PageConfig } from "../../src/page-server.ts";
import { CONSENT_VERSION } from "./consent-text.ts";
import type { Drawings } from "./drawings.ts";
import { openDrawings } from "./drawings.ts";

export interface Start {
  readonly config: PageConfig;
  readonly device: Device;
  readonly drawings: Drawings;
  readonly worker: WorkerConnection<PredictorInput, NestedNumbers[]>;
}

let parts: Promise<Omit<Start, "device">> | undefined;

/** @throws Error when the page's server has gone, FederatedError or DOMException without a place to keep things */
export async function start(): Promise<Start> {
  parts ??= startOnce();
  const once = await parts.catch((error: unknown) => {
    parts = undefined;
    throw error;
  });
  // One for each person: who has been forgotten is followed by somebody new.
  const device = await openDevice({ consentTo: CONSENT_VERSION });
  return { ...once, device };
}

async function startOnce(): Promise<Omit<Start, "device">> {
  const [config, drawings] = await Promise.all([readConfig(), openDrawings()]);
  const worker = new Worker(new URL("./digits-worker.ts", import.meta.url), { type: "module" });
  return { config, drawings, worker: connectWorker<PredictorInput, NestedNumbers[]>(worker) };
}

async function readConfig(): Promise<PageConfig> {
  const response = await fetch("config.json");
  if (!response.ok) throw new Error("The demo is still starting. Please reload in a moment.");
  return (await response.json()) as PageConfig;
}
