/** A client made of nothing but socket and fetch, so that tests can also do what an honest SDK never would. */

import { randomBytes } from "node:crypto";

import type {
  Ack,
  Assignment,
  CheckInReply,
  Layout,
  Receipt,
  RoundClosed,
  Update,
} from "@tributary/protocol";
import { encodeUpdate, fromErrorPayload, PROTOCOL_VERSION, SOCKET_PATH } from "@tributary/protocol";
import type { Socket } from "socket.io-client";
import { io } from "socket.io-client";

export const newClientKey = (): string => randomBytes(32).toString("base64url");

export interface RawClient extends AsyncDisposable {
  readonly socket: Socket;
  readonly clientKey: string;
  /** Sends any event with any arguments; resolves with the acknowledged value, rejects with its error. */
  ask<Reply>(event: string, ...args: unknown[]): Promise<Reply>;
  checkIn(taskId: string): Promise<CheckInReply>;
  /** The next event of this name, also one that came before it was asked for. */
  next<Message>(event: string, timeoutMs?: number): Promise<Message>;
  nextAssignment(timeoutMs?: number): Promise<Assignment>;
  nextClosed(timeoutMs?: number): Promise<RoundClosed>;
  /** PUTs any bytes with any token; gives the HTTP answer. */
  put(assignment: Assignment, body: BodyInit, token?: string): Promise<Answer>;
  /** Encodes and PUTs an update. */
  report(assignment: Assignment, layout: Layout, update: Update): Promise<Receipt>;
}

export interface Answer {
  readonly status: number;
  readonly body: { readonly code?: string } & Record<string, unknown>;
  readonly retryAfter: string | null;
}

export async function connectRaw(
  url: string,
  options: { clientKey?: string; token?: string; headers?: Record<string, string> } = {},
): Promise<RawClient> {
  const clientKey = options.clientKey ?? newClientKey();
  const socket = io(url, {
    path: SOCKET_PATH,
    transports: ["websocket"],
    auth: { clientKey, ...(options.token === undefined ? {} : { token: options.token }) },
    ...(options.headers === undefined ? {} : { extraHeaders: options.headers }),
    reconnection: false,
    forceNew: true,
  });
  const inbox = new Map<string, unknown[]>();
  const waiters = new Map<string, ((message: unknown) => void)[]>();
  socket.onAny((event: string, message: unknown) => {
    const waiter = waiters.get(event)?.shift();
    if (waiter !== undefined) {
      waiter(message);
      return;
    }
    inbox.set(event, [...(inbox.get(event) ?? []), message]);
  });
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("connect_error", (error: Error & { data?: unknown }) => {
      socket.close();
      reject(fromErrorPayload(error.data));
    });
  });

  const client: RawClient = {
    socket,
    clientKey,
    ask: async <Reply>(event: string, ...args: unknown[]) => {
      const ack = (await socket.timeout(5_000).emitWithAck(event, ...args)) as Ack<Reply>;
      if (!ack.ok) throw fromErrorPayload(ack.error);
      return ack.value;
    },
    checkIn: (taskId) => client.ask("checkin", { protocolVersion: PROTOCOL_VERSION, taskId }),
    next: <Message>(event: string, timeoutMs = 10_000) => {
      const early = inbox.get(event);
      if (early !== undefined && early.length > 0) return Promise.resolve(early.shift() as Message);
      return new Promise<Message>((resolve, reject) => {
        const timer = setTimeout(
          () => reject(new Error(`no "${event}" in ${timeoutMs} ms`)),
          timeoutMs,
        );
        waiters.set(event, [
          ...(waiters.get(event) ?? []),
          (message) => {
            clearTimeout(timer);
            resolve(message as Message);
          },
        ]);
      });
    },
    nextAssignment: (timeoutMs) => client.next("round:assigned", timeoutMs),
    nextClosed: (timeoutMs) => client.next("round:closed", timeoutMs),
    put: async (assignment, body, token = assignment.update.token) => {
      const response = await fetch(new URL(assignment.update.url, url), {
        method: "PUT",
        headers: { authorization: `Bearer ${token}`, "content-type": "application/octet-stream" },
        body,
      });
      return {
        status: response.status,
        body: (await response.json()) as Answer["body"],
        retryAfter: response.headers.get("retry-after"),
      };
    },
    report: async (assignment, layout, update) => {
      const answer = await client.put(assignment, encodeUpdate(layout, update));
      if (answer.status !== 200) throw fromErrorPayload(answer.body);
      return answer.body as unknown as Receipt;
    },
    [Symbol.asyncDispose]: async () => {
      socket.close();
    },
  };
  return client;
}
