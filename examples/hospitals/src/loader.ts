/** Finds the files of a data set: in the cache, in a folder of the user's, or at the publisher. */

import { createHash } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";

import type { DataFile, DataSet } from "./registry.ts";

/** Names a folder that holds data sets, each in a folder of its id. */
export const DATA_DIR_VARIABLE = "TRIBUTARY_DATA_DIR";

export interface LoaderOptions {
  /** Default: `tributary` in XDG_CACHE_HOME, else in ~/.cache. */
  readonly cacheDirectory?: string;
  /** Default: the folder that TRIBUTARY_DATA_DIR names. */
  readonly dataDirectory?: string;
  /** Answers with a file's bytes. Default: HTTP, 30 seconds at most. */
  readonly download?: (url: string) => Promise<Uint8Array>;
}

/** The data is nowhere to be had; the message says where it was sought and how to get it. */
export class DataMissingError extends Error {
  override readonly name = "DataMissingError";
}

/**
 * Bytes of every file of the set, by name, each verified. Downloads go into the cache.
 * @throws DataMissingError when a file is in no folder and cannot be downloaded, or only with bytes
 * other than the registry's
 */
export async function loadDataSet(
  dataSet: DataSet,
  options: LoaderOptions = {},
): Promise<ReadonlyMap<string, Uint8Array>> {
  const cache = join(options.cacheDirectory ?? defaultCacheDirectory(), dataSet.id);
  const given = options.dataDirectory ?? process.env[DATA_DIR_VARIABLE];
  const folders = given === undefined ? [cache] : [cache, join(given, dataSet.id)];
  const download = options.download ?? fetchBytes;

  const load = async (file: DataFile): Promise<Uint8Array> => {
    const faults: string[] = [];
    for (const folder of folders) {
      const found = await readVerified(join(folder, file.name), file);
      if (typeof found !== "string") return found;
      faults.push(found);
    }
    try {
      const bytes = await download(file.url);
      const fault = mismatch(bytes, file);
      if (fault !== undefined) throw new Error(fault);
      await keep(cache, file.name, bytes);
      return bytes;
    } catch (error) {
      faults.push(`${file.url}: ${error instanceof Error ? error.message : String(error)}`);
    }
    throw new DataMissingError(explain(dataSet, file, faults));
  };

  const loaded = await Promise.all(
    dataSet.files.map(async (file) => [file.name, await load(file)] as const),
  );
  return new Map(loaded);
}

function defaultCacheDirectory(): string {
  return join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "tributary");
}

/** The bytes, or why not. */
async function readVerified(path: string, file: DataFile): Promise<Uint8Array | string> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch {
    return `${path}: not there`;
  }
  const fault = mismatch(bytes, file);
  return fault === undefined ? bytes : `${path}: ${fault}`;
}

function mismatch(bytes: Uint8Array, file: DataFile): string | undefined {
  const digest = createHash("sha256").update(bytes).digest("hex");
  if (bytes.length === file.bytes && digest === file.sha256) return undefined;
  return `${bytes.length} bytes with SHA-256 ${digest}, expected ${file.bytes} bytes with ${file.sha256}`;
}

async function keep(folder: string, name: string, bytes: Uint8Array): Promise<void> {
  await mkdir(folder, { recursive: true });
  const temporary = join(folder, `.${name}.${process.pid}`);
  await writeFile(temporary, bytes);
  await rename(temporary, join(folder, name));
}

async function fetchBytes(url: string): Promise<Uint8Array> {
  const response = await fetch(url, { signal: AbortSignal.timeout(30_000) });
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

function explain(dataSet: DataSet, file: DataFile, faults: readonly string[]): string {
  return [
    `${dataSet.title}: ${file.name} could not be found.`,
    ...faults.map((fault) => `  ${fault}`),
    `Download the ${dataSet.files.length} files from ${dataSet.homepage} (${dataSet.licence})`,
    `into <folder>/${dataSet.id}/ and set ${DATA_DIR_VARIABLE}=<folder>.`,
  ].join("\n");
}
