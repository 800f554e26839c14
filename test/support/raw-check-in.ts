/** Check-ins by HTTP made of nothing but fetch, so that tests can also do what an honest SDK never would. */

import type { HttpCheckInReply, Problem, TaskId } from "@tributary/protocol";
import { CLIENT_KEY_HEADER, PROTOCOL_VERSION, routes } from "@tributary/protocol";

import type { RunningCoordinator } from "./coordinator.ts";
import { newClientKey } from "./raw-client.ts";

export const HELD_TASK = "small" as TaskId;

export interface Asked {
  readonly status: number;
  readonly body: HttpCheckInReply & Problem;
}

export interface AskOptions {
  readonly taskId?: string;
  readonly query?: string;
  readonly clientKey?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  readonly body?: string;
  readonly protocolVersion?: number;
  readonly token?: string;
}

export async function ask(url: string, options: AskOptions = {}): Promise<Asked> {
  const {
    taskId = HELD_TASK,
    query = "",
    clientKey = newClientKey(),
    headers,
    signal,
    body,
  } = options;
  const { protocolVersion = PROTOCOL_VERSION, token } = options;
  const path = `${routes.checkIns.path({ taskId })}?protocolVersion=${protocolVersion}${query}`;
  const response = await fetch(url + path, {
    method: "POST",
    headers: {
      [CLIENT_KEY_HEADER]: clientKey,
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...headers,
    },
    ...(signal === undefined ? {} : { signal }),
    ...(body === undefined ? {} : { body }),
  });
  return { status: response.status, body: (await response.json()) as Asked["body"] };
}

/** Resolves when so many clients wait for the task. */
export async function waitsFor({ coordinator }: RunningCoordinator, count: number): Promise<void> {
  for (;;) {
    const { clientsWaiting } = await coordinator.tasks.get(HELD_TASK);
    if (clientsWaiting === count) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
}
