/** The files of a built page, read once and kept with what each is sent with. */

import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { extname, join, relative, sep } from "node:path";
import { promisify } from "node:util";
import { constants, gzip } from "node:zlib";

import { FederatedError } from "@tributary/protocol";

/** One form of a file: as it is, or compressed. */
export interface PageBody {
  readonly bytes: Buffer;
  /** Strong, in quotes; each form has its own. */
  readonly etag: string;
}

export interface PageFile {
  readonly type: string;
  readonly plain: PageBody;
  /** Where it is smaller. */
  readonly gzip?: PageBody;
  /** Its name changes with its content. */
  readonly immutable: boolean;
}

/** By path below the page, without a slash in front: `index.html`, `assets/index-5fa2.js`. */
export type PageFiles = ReadonlyMap<string, PageFile>;

/** The page itself. */
export const INDEX = "index.html";
/** The folder whose files carry a hash of their content in their names. */
export const HASHED_FOLDER = "assets/";

const TYPES: Readonly<Record<string, string>> = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".ico": "image/x-icon",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".txt": "text/plain; charset=utf-8",
  ".webmanifest": "application/manifest+json",
};

/**
 * All files below a folder; some hundred KB of a page that was built for production.
 * @throws FederatedError UNAVAILABLE when no page was built there
 */
export async function readPageFiles(directory: string): Promise<PageFiles> {
  const entries = await readdir(directory, { withFileTypes: true, recursive: true }).catch(
    (cause: unknown) => {
      throw notBuilt(cause);
    },
  );
  const files = new Map<string, PageFile>();
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const file = join(entry.parentPath, entry.name);
    const path = relative(directory, file).split(sep).join("/");
    files.set(path, await pageFile(path, await readFile(file)));
  }
  if (!files.has(INDEX)) throw notBuilt();
  return files;
}

const compress = promisify(gzip);

async function pageFile(path: string, bytes: Buffer): Promise<PageFile> {
  const type = TYPES[extname(path)] ?? "application/octet-stream";
  const digest = createHash("sha256").update(bytes).digest("base64url");
  const smaller = await compress(bytes, { level: constants.Z_BEST_COMPRESSION });
  return {
    type,
    plain: { bytes, etag: `"${digest}"` },
    ...(smaller.length < bytes.length
      ? { gzip: { bytes: smaller, etag: `"${digest}-gzip"` } }
      : {}),
    immutable: path.startsWith(HASHED_FOLDER),
  };
}

/** It names no path: whoever asks need not know where the program lies. */
const notBuilt = (cause?: unknown) =>
  new FederatedError(
    "UNAVAILABLE",
    "the dashboard has not been built here: run `npm run build` in the package of the coordinator, then come again",
    { retryAfterMs: 10_000, cause },
  );
