/**
 * Preloaded into a real coordinator process (`node --import`): stands between it and its disk, and ends
 * the process by SIGKILL at the point that the environment names. The coordinator knows nothing of it.
 */

import { appendFileSync } from "node:fs";
import fs from "node:fs/promises";
import { createRequire, syncBuiltinESMExports } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";

import { ARMED_VARIABLE, KILL_VARIABLE, TRACE_VARIABLE } from "./points.ts";

const [wanted, count = "1"] = (process.env[KILL_VARIABLE] ?? "").split(":");
const trace = process.env[TRACE_VARIABLE];
const seen = new Set<string>();
let left = Number(count);
let armed = process.env[ARMED_VARIABLE] !== undefined;
process.on("SIGUSR2", () => {
  armed = true;
});

function reach(point: string): void {
  if (trace !== undefined && !seen.has(point)) {
    seen.add(point);
    appendFileSync(trace, `${point}\n`);
  }
  if (!armed || point !== wanted || --left > 0) return;
  process.kill(process.pid, "SIGKILL");
  // Not one instruction of the coordinator's runs after this.
  for (;;);
}

// ---------------------------------------------------------------------------- SQLite

interface Write {
  readonly sql: string;
  readonly values: readonly unknown[];
}
type Statement = Record<"run" | "get" | "all", (...values: unknown[]) => unknown>;
interface Connection {
  exec(sql: string): void;
  prepare(sql: string): Statement;
}
interface SqliteModule {
  readonly DatabaseSync: new (...args: unknown[]) => Connection;
}

/** Which persisted transition a transaction is. */
function kindOf(writes: readonly Write[], madeTables: boolean): string {
  if (madeTables) return "migrate";
  const tables = writes.map(({ sql }) => /(?:INTO|UPDATE|FROM) +(\w+)/.exec(sql)?.[1] ?? "unknown");
  const phases = writes
    .filter((_, i) => tables[i] === "rounds")
    .flatMap(({ values }) => values.map(phaseOf));
  if (phases.includes("committed")) return "commit";
  if (phases.includes("abandoned")) return "abandon";
  if (phases.includes("selecting")) return "open";
  if (tables.includes("rounds")) return "cohort";
  if (tables.includes("model_versions")) return "createTask";
  if (tables.includes("ledger")) return "reserve";
  if (tables.includes("tasks")) return "taskState";
  if (tables.includes("signing_keys")) return "signingKey";
  if (tables.includes("secrets")) return "secret";
  return tables.join("+");
}

/** Of a round's record; a record's `phases` say what was before. */
function phaseOf(value: unknown): unknown {
  if (typeof value !== "string" || !value.startsWith("{")) return undefined;
  return (JSON.parse(value) as { phase?: unknown }).phase;
}

/** The driver's own class with an eye on `exec` and `prepare`. */
function watchDriver({ DatabaseSync }: SqliteModule): SqliteModule {
  function WatchedDatabase(...args: unknown[]): Connection {
    const connection = new DatabaseSync(...args);
    let writes: Write[] = [];
    let madeTables = false;
    const exec = (sql: string) => {
      if (/^BEGIN/i.test(sql)) [writes, madeTables] = [[], false];
      if (/CREATE TABLE/i.test(sql)) madeTables = true;
      if (!/^COMMIT/i.test(sql) || (writes.length === 0 && !madeTables)) {
        connection.exec(sql);
        return;
      }
      const kind = kindOf(writes, madeTables);
      reach(`sql.${kind}.before`);
      connection.exec(sql);
      reach(`sql.${kind}.after`);
    };
    const prepare = (sql: string) => {
      const statement = connection.prepare(sql);
      const isWrite = /^\s*(INSERT|UPDATE|DELETE)/i.test(sql);
      return over(statement, {
        run: (...values: unknown[]) => {
          if (isWrite) writes.push({ sql, values });
          return statement.run(...values);
        },
      });
    };
    return over(connection, { exec, prepare });
  }
  return { DatabaseSync: WatchedDatabase as unknown as SqliteModule["DatabaseSync"] };
}

/** `target` with some of its methods replaced; native objects do not let theirs be changed. */
function over<T extends object>(target: T, methods: Partial<T>): T {
  return new Proxy(target, {
    get: (_, name) => {
      if (Object.hasOwn(methods, name)) return methods[name as keyof T];
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function"
        ? (value as (...args: unknown[]) => unknown).bind(target)
        : value;
    },
  });
}

async function packagedDriver(): Promise<SqliteModule> {
  const coordinator = fileURLToPath(import.meta.resolve("@tributary/coordinator/package.json"));
  const path = createRequire(coordinator).resolve("@photostructure/sqlite");
  return (await import(pathToFileURL(path).href)) as SqliteModule;
}

const getBuiltinModule = process.getBuiltinModule.bind(process) as (id: string) => unknown;
const builtin = getBuiltinModule("node:sqlite") as SqliteModule | undefined;
const watched = watchDriver(builtin ?? (await packagedDriver()));
process.getBuiltinModule = ((id: string) =>
  id === "node:sqlite" ? watched : getBuiltinModule(id)) as typeof process.getBuiltinModule;

// ----------------------------------------------------------------------------- files

const BLOB = /checkpoints.[0-9a-f]{2}.[0-9a-f]{64}/;
const BLOB_FOLDER = /checkpoints(.[0-9a-f]{2})?$/;
const { open, rename } = fs;

const watchedOpen: typeof fs.open = async (path, flags, mode) => {
  const handle = await open(path, flags, mode);
  const name = String(path);
  if (BLOB.test(name)) {
    reach("file.made");
    const writeFile = handle.writeFile.bind(handle);
    const sync = handle.sync.bind(handle);
    handle.writeFile = async (data, options) => {
      if (armed && wanted === "file.halfWritten" && data instanceof Uint8Array) {
        await handle.write(data, 0, data.length >> 1, 0);
      }
      reach("file.halfWritten");
      return writeFile(data, options);
    };
    handle.sync = async () => {
      reach("file.beforeFsync");
      await sync();
    };
  } else if (BLOB_FOLDER.test(name)) {
    const sync = handle.sync.bind(handle);
    handle.sync = async () => {
      reach("file.beforeDirectorySync");
      await sync();
      reach("file.directorySynced");
    };
  }
  return handle;
};
fs.open = watchedOpen;
fs.rename = async (from, to) => {
  const isBlob = BLOB.test(String(to));
  if (isBlob) reach("file.beforeRename");
  await rename(from, to);
  if (isBlob) reach("file.renamed");
};
syncBuiltinESMExports();
