/** The reference of ingest over sockets: every message, a vector of float32, is added to a sum in float64, unchecked. */

import { WebSocketServer } from "ws";

const parameterCount = Number(process.argv[2]);
const sum = new Float64Array(parameterCount);
const server = new WebSocketServer({
  ...{ host: "127.0.0.1", port: 0 },
  perMessageDeflate: false,
  maxPayload: 4 * parameterCount + 1024,
});
server.on("connection", (socket) => {
  socket.on("message", (message) => {
    // It may begin anywhere in memory.
    const { buffer, byteOffset } =
      message.byteOffset % 4 === 0 ? message : Uint8Array.from(message);
    const vector = new Float32Array(buffer, byteOffset, parameterCount);
    for (let i = 0; i < vector.length; i++) sum[i] += vector[i];
    socket.send("ok");
  });
});
server.on("listening", () => {
  process.stdout.write(`{"url":"ws://127.0.0.1:${server.address().port}"}\n`);
});
