/** Gzip for planes of bytes, in a thread of the system's pool. */

import { promisify } from "node:util";
import { constants, gzip } from "node:zlib";

const compress = promisify(gzip);

/**
 * Runs and frequencies only. Planes of differences are runs of zeros or noise; searching for matches in noise takes
 * three times as long and finds harmful ones (RESULTS of the download benchmark).
 */
export async function gzipPlanes(bytes: Uint8Array): Promise<Uint8Array> {
  return compress(bytes, {
    level: 1,
    memLevel: 9,
    strategy: constants.Z_RLE,
    // Each piece that comes out is a visit to the event loop.
    chunkSize: 2 ** 20,
  });
}
