/** Does the coordinator live, and can it do its work? Its probes are asked every few seconds. */

import type { FederatedError as Fault } from "@tributary/protocol";
import { routes } from "@tributary/protocol";
import type { ReadonlySignal } from "@preact/signals";
import { signal } from "@preact/signals";

import type { Api } from "./api.ts";
import { asFault } from "./api.ts";

export interface Health {
  /** Undefined while no answer has come. */
  readonly alive: boolean | undefined;
  readonly ready: boolean | undefined;
  /** Why it is not alive or not ready. */
  readonly fault: Fault | undefined;
  readonly version: string | undefined;
  /** Instant of the last answer or failure, by the local clock. */
  readonly checkedAtMs: number | undefined;
  /** From the question to the answer. */
  readonly answeredInMs: number | undefined;
}

interface Status {
  readonly status: string;
  readonly version: string;
}

const NOTHING_KNOWN: Health = {
  alive: undefined,
  ready: undefined,
  fault: undefined,
  version: undefined,
  checkedAtMs: undefined,
  answeredInMs: undefined,
};

export interface HealthDeps {
  readonly api: Api;
  readonly now: () => number;
}

export interface HealthWatch {
  readonly health: ReadonlySignal<Health>;
  /** Asks now. Never throws. @returns what it found */
  check(): Promise<Health>;
}

export function createHealthWatch({ api, now }: HealthDeps): HealthWatch {
  const health = signal(NOTHING_KNOWN);
  return {
    health,
    check: async () => {
      const askedAt = now();
      const [alive, ready] = await Promise.allSettled([
        api.getJson<Status>(routes.livez.path()),
        api.getJson<Status>(routes.readyz.path()),
      ]);
      const fault = [alive, ready].find((result) => result.status === "rejected");
      health.value = {
        alive: alive.status === "fulfilled",
        ready: ready.status === "fulfilled",
        fault: fault === undefined ? undefined : asFault(fault.reason),
        version: alive.status === "fulfilled" ? alive.value.version : health.peek().version,
        checkedAtMs: now(),
        answeredInMs: alive.status === "fulfilled" ? now() - askedAt : undefined,
      };
      return health.peek();
    },
  };
}
