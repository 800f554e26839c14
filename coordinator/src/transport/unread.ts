/** Messages that a connection does not take must not pile up for it. */

/** engine.io's end of a connection. */
interface Connection {
  on(event: "packetCreate" | "drain", listener: () => void): unknown;
  readonly request: { readonly socket: { destroy(): unknown } };
}

/**
 * Cuts the connection when so many messages wait for it. Before the first of them waits the system has taken
 * megabytes, and an honest client gets a few messages in a round: it is gone, or does not read on purpose.
 */
export function cutWhenUnread(connection: Connection, maxMessages: number): void {
  let waiting = 0;
  connection.on("packetCreate", () => {
    waiting += 1;
    if (waiting > maxMessages) connection.request.socket.destroy();
  });
  // All that waits has been handed on.
  connection.on("drain", () => {
    waiting = 0;
  });
}
