/** Downloads over and over, unpacks nothing and keeps nothing: the other end of the download benchmark, in a process of its own. */

import { Agent, get } from "node:http";

export interface DownloadOrder {
  readonly url: string;
  readonly times: number;
}

/** Connections that are kept open, as clients of one cohort would have them. */
const AT_ONCE = 4;
const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });

const download = (url: string) =>
  new Promise<number>((resolve, reject) => {
    get(url, { agent, headers: { "accept-encoding": "gzip" } }, (response) => {
      let bytes = 0;
      response.on("data", (chunk: Buffer) => (bytes += chunk.length));
      response.on("error", reject);
      response.on("end", () => {
        if (response.statusCode === 200) resolve(bytes);
        else reject(new Error(`${url} answered ${response.statusCode}`));
      });
    }).on("error", reject);
  });

process.on("message", ({ url, times }: DownloadOrder) => {
  const run = async () => {
    let left = times;
    let bytes = 0;
    const one = async () => {
      while (left-- > 0) bytes += await download(url);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, one));
    process.send?.({ bytes });
  };
  run().catch((error: unknown) => process.send?.({ error: String(error) }));
});
