/** What a connection does not take must not pile up for it. */

/** engine.io's end of a connection. */
interface Connection {
  on(event: "packetCreate", listener: (packet: { readonly data?: unknown }) => void): unknown;
  on(event: "drain", listener: () => void): unknown;
  readonly request: { readonly socket: { destroy(): unknown } };
}

export interface UnreadLimits {
  readonly messages: number;
  readonly bytes: number;
}

/**
 * Cuts the connection when so much waits for it. Before the first message waits the system has taken megabytes,
 * and an honest client gets a few messages in a round: it is gone, or does not read on purpose.
 */
export function cutWhenUnread(connection: Connection, most: UnreadLimits): void {
  const { socket } = connection.request;
  let messages = 0;
  let bytes = 0;
  connection.on("packetCreate", ({ data }) => {
    messages += 1;
    bytes += typeof data === "string" ? data.length : 0;
    if (messages > most.messages || bytes > most.bytes) socket.destroy();
  });
  // All that waits has been handed on.
  connection.on("drain", () => {
    messages = 0;
    bytes = 0;
  });
}
