/** The reference: socket.io as it comes, websocket only, that knows nothing of rounds. Plain JavaScript, no loader. */

import { createServer } from "node:http";

import { Server } from "socket.io";

const [path, reply] = process.argv.slice(2);
const http = createServer();
const io = new Server(http, {
  ...{ path, transports: ["websocket"], serveClient: false, perMessageDeflate: false },
});
const offered = new Set();
io.on("connection", (socket) => {
  socket.on("checkin", (_message, ack) => {
    offered.add(socket);
    ack(JSON.parse(reply));
  });
});
// A message to each, as an assignment is; of the size of one.
http.on("request", (request, response) => {
  if (request.url !== "/announce") return;
  let body = "";
  request.on("data", (chunk) => (body += String(chunk)));
  request.on("end", () => {
    for (const socket of offered) socket.emit("round:assigned", JSON.parse(body));
    offered.clear();
    response.end();
  });
});
http.listen(0, "127.0.0.1", () => {
  process.stdout.write(`{"url":"http://127.0.0.1:${http.address().port}"}\n`);
});
