/** Answers that stand in a line, as where a sender does not wait for one before it asks again (pipelining). */

import type { Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";

/**
 * Lets every answer close with its connection. Node closes the one that has the connection, and none of those behind
 * it: whatever is given back when an answer closes, a turn, a stream, a place, would be gone for ever.
 */
export function closeAnswersInLine(server: Pick<Server, "on">): void {
  const inLine = new WeakMap<Socket, Set<ServerResponse>>();

  function lineOf(socket: Socket): Set<ServerResponse> {
    const known = inLine.get(socket);
    if (known !== undefined) return known;
    const line = new Set<ServerResponse>();
    inLine.set(socket, line);
    socket.once("close", () => {
      for (const response of line) {
        response.destroy();
        response.emit("close");
      }
      line.clear();
    });
    return line;
  }

  server.on("request", ({ socket }, response: ServerResponse) => {
    if (response.socket !== null) return;
    const line = lineOf(socket);
    line.add(response);
    response.once("socket", () => void line.delete(response));
  });
}
