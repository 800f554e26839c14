/** `tributary start`: the coordinator as a process. */

import { randomBytes } from "node:crypto";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";

import { FederatedError, float32FromBytes } from "@tributary/protocol";
import type { Command } from "commander";

import type { EvaluatorSource } from "../config/config-file.ts";
import { loadConfig } from "../config/load.ts";
import { printConfig } from "../config/print.ts";
import type { Config, ConfiguredTask } from "../config/schema.ts";
import type { Addresses, Coordinator } from "../coordinator.ts";
import { createLogger } from "../observability/logger.ts";
import type { Evaluator } from "../ports.ts";
import { resolveTaskSpec } from "../task/spec.ts";
import type { ConfigFlags } from "./config-options.ts";
import { addConfigOptions, configSources } from "./config-options.ts";
import type { CliIo } from "./io.ts";
import { note, writeLine } from "./io.ts";
import { ADMIN_TOKEN_FILE } from "./target.ts";
import { readWeights } from "./weights.ts";

export function addStartCommand(program: Command, io: CliIo): void {
  addConfigOptions(
    program
      .command("start")
      .description("run a coordinator until it is interrupted")
      .option("--json", "print the address as JSON"),
  ).action(async (flags: ConfigFlags & { readonly json?: true }) => {
    const loaded = await loadConfig(configSources(io, flags));
    io.stderr.write(printConfig(loaded));
    const config = await withAdminToken(io, loaded.config);
    const evaluators = await makeEvaluators(loaded.evaluators);
    const logger = createLogger({
      level: config.log.level,
      pretty: io.isTTY,
      destination: io.stderr,
    });
    // Loaded here, so that the other commands need not wait for it.
    const { createCoordinator } = await import("../coordinator.ts");
    const coordinator = await createCoordinator({ config, evaluators, logger });
    try {
      for (const task of config.tasks) await createIfAbsent(io, coordinator, task);
      const { url, dashboardUrl } = await listen(coordinator, config);
      if (config.server.tls.certificateFile !== undefined) {
        // What is wrong with new files is in the log; the old ones stay in force.
        io.onHangup?.(() => void coordinator.reloadTls().catch(() => {}));
      }
      const { publicKey } = coordinator.keys;
      note(io, `models are signed with key ${publicKey}`);
      const address = { url, dashboardUrl, publicKey };
      writeLine(io, flags.json === true ? JSON.stringify(address) : `listening on ${url}`);
      await interrupted(io.signal);
      note(io, "stopping; interrupt again to force");
    } finally {
      await coordinator.close();
    }
  });
}

/** Who can read the data directory may steer: without a token of its own, one is made there. */
async function withAdminToken(io: CliIo, config: Config): Promise<Config> {
  if (config.auth.adminToken !== undefined) return config;
  if (config.storage.kind === "memory") {
    note(io, "no admin token: set TRIBUTARY_AUTH_ADMIN_TOKEN to steer tasks over HTTP");
    return config;
  }
  const file = join(config.storage.directory, ADMIN_TOKEN_FILE);
  if (config.storage.encryptionKey !== undefined) return withoutNewToken(io, config, file);
  await mkdir(config.storage.directory, { recursive: true, mode: 0o700 });
  try {
    const token = randomBytes(32).toString("base64url");
    await writeFile(file, `${token}\n`, { flag: "wx", mode: 0o600 });
    note(io, `made an admin token in ${file}`);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unknown error";
    if (code !== "EEXIST") {
      // Made and not filled, it would be in the way of the next start.
      await rm(file, { force: true });
      const message = `${file} cannot be written: ${code}`;
      throw new FederatedError("UNAVAILABLE", message, { cause: error });
    }
  }
  const adminToken = (await readFile(file, "utf8")).trim();
  if (adminToken === "") {
    // A crash between making the file and filling it.
    throw new FederatedError(
      "CONFIG_INVALID",
      `${file} is empty; delete it, and the next start makes a new admin token`,
    );
  }
  return { ...config, auth: { ...config.auth, adminToken } };
}

/** A token in the clear beside encrypted data would undo what the key is for. */
async function withoutNewToken(io: CliIo, config: Config, file: string): Promise<Config> {
  const text = await readFile(file, "utf8").catch(() => undefined);
  if (text === undefined) {
    const why = "the data is encrypted, and a token beside it would not be";
    note(io, `no admin token: set TRIBUTARY_AUTH_ADMIN_TOKEN to steer tasks over HTTP (${why})`);
    return config;
  }
  note(io, `warning: ${file} is not encrypted: set TRIBUTARY_AUTH_ADMIN_TOKEN and delete it`);
  return { ...config, auth: { ...config.auth, adminToken: text.trim() } };
}

async function makeEvaluators(
  sources: Readonly<Record<string, EvaluatorSource>>,
): Promise<Record<string, Evaluator>> {
  const made: [string, Evaluator][] = [];
  for (const [name, source] of Object.entries(sources)) {
    made.push([name, typeof source === "function" ? await source() : source]);
  }
  return Object.fromEntries(made);
}

async function createIfAbsent(
  io: CliIo,
  { tasks }: Coordinator,
  { spec, initialWeightsFile }: ConfiguredTask,
): Promise<void> {
  const existing = (await tasks.list()).find(({ taskId }) => taskId === spec.taskId);
  if (existing === undefined) {
    const file = initialWeightsFile;
    const weights = file === undefined ? undefined : float32FromBytes(await readWeights(file));
    await tasks.create(spec, weights);
    note(io, `created task ${spec.taskId}`);
    return;
  }
  if (isDeepStrictEqual(plain(existing.spec), plain(resolveTaskSpec(spec)))) return;
  note(
    io,
    `warning: task ${spec.taskId} exists with another spec, which is kept; give the new one another id`,
  );
}

/** As it is after a trip through the store: the order of keys and absent ones do not matter. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

async function listen(coordinator: Coordinator, { server }: Config): Promise<Addresses> {
  try {
    return await coordinator.listen();
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EADDRINUSE")) throw error;
    throw new FederatedError(
      "INTERNAL",
      `${server.host}:${server.port} is in use by another program; choose another with --port`,
      { cause: error },
    );
  }
}

function interrupted(signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) resolve();
    else signal?.addEventListener("abort", () => resolve(), { once: true });
  });
}
