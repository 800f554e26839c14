/**
 * Preloaded into a real client process (`node --import`): stands between it and its disk, its generator and
 * the network, and ends it by SIGKILL at the point that the environment names, the second time it gets there.
 */

import fs from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";

import type { Point } from "./points.ts";
import { KILL_VARIABLE } from "./points.ts";

const wanted = process.env[KILL_VARIABLE];
let left = 2;

function reach(point: Point): void {
  if (point !== wanted || --left > 0) return;
  process.kill(process.pid, "SIGKILL");
  // Not one instruction of the client's runs after this.
  for (;;);
}

const DRAFT = /privacy-[0-9]{12}\.ledger\.[0-9a-f-]+\.tmp$/;
const LEDGER = /privacy-[0-9]{12}\.ledger$/;
const { open, link, rm } = fs;

const watchedOpen: typeof fs.open = async (path, flags, mode) => {
  const handle = await open(path, flags, mode);
  const name = String(path);
  if (DRAFT.test(name)) {
    reach("ledger.draftMade");
    const writeFile = handle.writeFile.bind(handle);
    const sync = handle.sync.bind(handle);
    handle.writeFile = async (data, options) => {
      if (wanted === "ledger.halfWritten" && left === 1 && typeof data === "string") {
        await handle.write(data.slice(0, data.length >> 1));
      }
      reach("ledger.halfWritten");
      return writeFile(data, options);
    };
    handle.sync = async () => {
      reach("ledger.beforeFsync");
      await sync();
    };
  } else if (name.endsWith("ledger-of-the-client")) {
    const sync = handle.sync.bind(handle);
    handle.sync = async () => {
      await sync();
      reach("ledger.directorySynced");
    };
  }
  return handle;
};
fs.open = watchedOpen;
fs.link = async (from, to) => {
  const isLedger = LEDGER.test(String(to));
  if (isLedger) reach("ledger.beforeLink");
  await link(from, to);
  if (isLedger) reach("ledger.linked");
};
fs.rm = async (path, options) => {
  if (LEDGER.test(String(path))) reach("ledger.beforeSweep");
  await rm(path, options);
};
syncBuiltinESMExports();

const generator = crypto.getRandomValues.bind(crypto);
crypto.getRandomValues = (array) => {
  const filled = generator(array);
  // The model has six parameters: three pairs of four words.
  if (array instanceof Uint32Array && array.length === 12) reach("noise.drawn");
  return filled;
};

const send = globalThis.fetch;
globalThis.fetch = async (input, init) => {
  const isUpdate = init?.method === "PUT";
  if (isUpdate) reach("update.beforeSend");
  const response = await send(input, init);
  if (isUpdate) reach("update.sent");
  return response;
};
