/** Which coordinator a remote command talks to, and with which token. */

import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { FederatedError } from "@tributary/protocol";
import type { Command } from "commander";

import { readEnvironment } from "../config/environment.ts";
import { loadConfig } from "../config/load.ts";
import type { Config, Fault } from "../config/schema.ts";
import { assertNoFaults, isLoopback } from "../config/schema.ts";
import type { Api } from "./api.ts";
import { createApi } from "./api.ts";
import type { ConfigFlags } from "./config-options.ts";
import { addConfigOptions, configSources } from "./config-options.ts";
import type { CliIo } from "./io.ts";
import { note } from "./io.ts";

/** File in the data directory with the token that `start` makes. */
export const ADMIN_TOKEN_FILE = "admin-token";

export interface TargetFlags extends ConfigFlags {
  readonly url?: string;
}

/** Adds the options that name a coordinator. */
export const addTargetOptions = (command: Command): Command =>
  addConfigOptions(
    command.option(
      "--url <url>",
      "address of the coordinator (default: TRIBUTARY_URL, then the configuration's)",
    ),
  );

/**
 * The API of the coordinator that flags, TRIBUTARY_URL or the configuration name. A token comes from
 * the environment or from the data directory; the latter is for the coordinator on this machine and is
 * never sent to another.
 */
export async function connect(io: CliIo, flags: TargetFlags): Promise<Api> {
  const named = flags.url ?? io.env.TRIBUTARY_URL;
  const remote = named === undefined ? undefined : parseUrl(named);
  if (remote !== undefined && !isLoopback(remote.hostname.replace(/^\[|\]$/g, ""))) {
    const token = await environmentToken(io);
    if (token !== undefined && remote.protocol === "http:") {
      note(io, `warning: the token travels unencrypted to ${remote.host}; use https`);
    }
    return api(io, remote, token);
  }
  const { config } = await loadConfig(configSources(io, flags));
  const { adminToken, viewerToken, clientToken } = config.auth;
  const token = adminToken ?? (await storedToken(config)) ?? viewerToken ?? clientToken;
  return api(io, remote ?? urlOf(config), token);
}

const api = (io: CliIo, url: URL, token: string | undefined): Api =>
  createApi({
    url: url.href,
    ...(token === undefined ? {} : { token }),
    ...(io.signal === undefined ? {} : { signal: io.signal }),
  });

function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && url.username + url.password !== "") {
    throw new FederatedError(
      "CONFIG_INVALID",
      "the address of a coordinator holds no user name and no password; tokens come from the environment (TRIBUTARY_AUTH_ADMIN_TOKEN)",
    );
  }
  if (url?.protocol === "http:" || url?.protocol === "https:") return url;
  throw new FederatedError(
    "CONFIG_INVALID",
    `"${text}" is no address of a coordinator; write it like http://127.0.0.1:8080`,
  );
}

function urlOf({ server: { host, port, tls } }: Config): URL {
  if (port === 0) {
    throw new FederatedError(
      "CONFIG_INVALID",
      "server.port is 0, so the coordinator's port is not known; pass --url",
    );
  }
  const anywhere = host === "0.0.0.0" || host === "::";
  const name = anywhere ? "127.0.0.1" : host.includes(":") ? `[${host}]` : host;
  const scheme = tls.certificateFile === undefined ? "http" : "https";
  return new URL(`${scheme}://${name}:${port}`);
}

async function environmentToken(io: CliIo): Promise<string | undefined> {
  const faults: Fault[] = [];
  const given = await readEnvironment(io.env, faults);
  assertNoFaults("the environment", faults);
  const valueOf = (path: string) => given.find((setting) => setting.path === path)?.value;
  const token =
    valueOf("auth.adminToken") ?? valueOf("auth.viewerToken") ?? valueOf("auth.clientToken");
  return typeof token === "string" ? token : undefined;
}

async function storedToken({ storage }: Config): Promise<string | undefined> {
  if (storage.kind === "memory") return undefined;
  try {
    return (await readFile(join(storage.directory, ADMIN_TOKEN_FILE), "utf8")).trim();
  } catch {
    return undefined;
  }
}
