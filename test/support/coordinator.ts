/** A real coordinator on a port of its own, and a small task for it. */

import type { Coordinator, CoordinatorOptions } from "@tributary/coordinator";
import { createCoordinator } from "@tributary/coordinator";
import type { MonitoringEvent, RoundResource, TaskSpecInput } from "@tributary/protocol";

export interface RunningCoordinator extends AsyncDisposable {
  readonly coordinator: Coordinator;
  readonly url: string;
  /** Resolves with the first event, past or future, that `accept` accepts. */
  until(accept: (event: MonitoringEvent) => boolean, timeoutMs?: number): Promise<MonitoringEvent>;
  /** The end of a round, committed or abandoned. */
  roundEnded(roundNumber: number, timeoutMs?: number): Promise<RoundResource>;
}

export const quiet = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
};

export async function startCoordinator(
  options: CoordinatorOptions = {},
): Promise<RunningCoordinator> {
  const coordinator = await createCoordinator({
    logger: quiet,
    ...options,
    config: {
      storage: { kind: "memory" },
      ...options.config,
      server: { host: "127.0.0.1", port: 0, ...options.config?.server },
      timing: { abandonedRetryMs: 50, ...options.config?.timing },
    },
  });
  const { url } = await coordinator.listen();

  const running: RunningCoordinator = {
    coordinator,
    url,
    until: (accept, timeoutMs = 15_000) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          feed.unsubscribe();
          reject(new Error(`the event did not come in ${timeoutMs} ms`));
        }, timeoutMs);
        let found = false;
        const feed = coordinator.events.subscribe(
          (event) => {
            if (found || !accept(event)) return;
            found = true;
            clearTimeout(timer);
            queueMicrotask(() => feed.unsubscribe());
            resolve(event);
          },
          { afterId: "0" },
        );
      }),
    roundEnded: async (roundNumber, timeoutMs) => {
      const event = await running.until(
        (event) =>
          event.type === "round:phaseChanged" &&
          event.data.roundNumber === roundNumber &&
          event.data.endedAt !== undefined,
        timeoutMs,
      );
      return event.data as RoundResource;
    },
    [Symbol.asyncDispose]: () => coordinator.close(),
  };
  return running;
}

/** Two tensors, seven parameters, rounds of everybody who waits. */
export function smallTask(overrides: Partial<TaskSpecInput> = {}): TaskSpecInput {
  return {
    taskId: "small",
    model: {
      tensors: [
        { name: "kernel", shape: [3, 2] },
        { name: "bias", shape: [1] },
      ],
    },
    sampler: { kind: "all" },
    ...overrides,
    schedule: {
      minClients: 2,
      minReports: 2,
      selectionDeadlineMs: 5_000,
      reportWindowMs: 5_000,
      aggregationDeadlineMs: 5_000,
      ...overrides.schedule,
    },
  };
}
