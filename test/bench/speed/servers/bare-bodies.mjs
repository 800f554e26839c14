/**
 * The reference of ingest: the least that node:http can do with a body. `discard` reads it, keeps nothing and answers;
 * `keep` copies each body to where it stays, as whoever adds it to a sum must, and gives back the memory it came in, as
 * ours does. Plain JavaScript, no loader.
 */

import { createServer } from "node:http";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

const [mode] = process.argv.slice(2);

setFlagsFromString("--harmony-rab-gsab-transfer");
const transfer = runInNewContext("ArrayBuffer.prototype.transfer");

/** Bodies that are kept at a time. */
const KEPT = 8;
const kept = [];
let bodies = 0;

function keep(request) {
  const length = Number(request.headers["content-length"]);
  const index = bodies++ % KEPT;
  if (kept[index]?.length !== length) kept[index] = new Uint8Array(length);
  let received = 0;
  request.on("data", (chunk) => {
    kept[index].set(chunk, received);
    received += chunk.length;
    transfer.call(chunk.buffer, 0);
  });
}

const server = createServer((request, response) => {
  if (mode === "keep") keep(request);
  else request.on("data", () => {});
  request.on("end", () => response.end());
});
server.listen(0, "127.0.0.1", () => {
  process.stdout.write(`{"url":"http://127.0.0.1:${server.address().port}"}\n`);
});
