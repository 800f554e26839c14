/** A network that breaks in the middle of an upload: of the first one only the beginning comes through. */

import { once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import { connect, createServer } from "node:net";

export interface BrokenRoad extends AsyncDisposable {
  readonly url: string;
  /** Resolves when a part of the first upload has come through, and the rest is stuck. */
  readonly stuck: Promise<void>;
  /** Ends every connection; later ones are whole. */
  breakOff(): void;
  /** Uploads that have begun to come. */
  readonly uploads: number;
}

/** Bytes of the upload that never come through. */
const MISSING = 16;

/** Passes on to `target` whatever comes. */
export async function startBrokenRoad(target: string): Promise<BrokenRoad> {
  const { hostname, port } = new URL(target);
  const open = new Set<Socket>();
  let isBroken = false;
  let uploads = 0;
  let tellStuck = () => {};
  const stuck = new Promise<void>((resolve) => (tellStuck = resolve));
  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname);
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      open.add(one);
      one.on("error", () => one.destroy());
      one.on("close", () => {
        open.delete(one);
        other.destroy();
      });
    }
    upstream.pipe(client);
    let upload = "";
    client.on("data", (chunk: Buffer) => {
      const text = chunk.toString("latin1");
      if (text.startsWith("PUT ")) uploads += 1;
      if (isBroken || (upload === "" && !text.startsWith("PUT "))) {
        upstream.write(chunk);
        return;
      }
      upload += text;
      const headEnd = upload.indexOf("\r\n\r\n");
      const [, length = "0"] = /\r\ncontent-length: (\d+)/i.exec(upload) ?? [];
      const isWhole = headEnd > 0 && headEnd + 4 + Number(length) === upload.length;
      upstream.write(isWhole ? chunk.subarray(0, -MISSING) : chunk);
      if (isWhole) tellStuck();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const breakOff = () => {
    isBroken = true;
    for (const socket of open) socket.destroy();
  };
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stuck,
    breakOff,
    get uploads() {
      return uploads;
    },
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, "close");
      server.close();
      breakOff();
      await closed;
    },
  };
}
