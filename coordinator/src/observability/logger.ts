/** Structured logs through pino: secrets are concealed and tensors are named, never written. */

import type { DestinationStream } from "pino";
import pino from "pino";

import type { Logger } from "../ports.ts";

export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";

export interface LoggerOptions {
  readonly level: LogLevel;
  /** Lines for people instead of JSON. */
  readonly pretty?: boolean;
  /** Where lines go; by default standard error, which leaves standard output to the program. */
  readonly destination?: { write(line: string): unknown };
}

const SECRETS: ReadonlySet<string> = new Set([
  "authorization",
  "token",
  "clienttoken",
  "admintoken",
  "viewertoken",
  "clientkey",
  "secret",
  "password",
  "cookie",
]);
const CONCEALED = "[concealed]";
/** Deeper values are cut off. */
const MAX_DEPTH = 6;

export function createLogger(options: LoggerOptions): Logger {
  const destination: DestinationStream = destinationOf(options);
  const log = pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: {
        level: (label) => ({ level: label }),
        log: (fields) => conceal(fields) as Record<string, unknown>,
      },
    },
    destination,
  );
  return {
    debug: (fields, message) => log.debug(fields, message),
    info: (fields, message) => log.info(fields, message),
    warn: (fields, message) => log.warn(fields, message),
    error: (fields, message) => log.error(fields, message),
  };
}

function destinationOf({ pretty, destination }: LoggerOptions): DestinationStream {
  const target = destination ?? pino.destination({ fd: 2, sync: true });
  const format = pretty === true ? forPeople : (line: string) => line;
  return { write: (line) => void target.write(format(line)) };
}

/** Enrolment tokens, JSON Web Tokens and what follows "Bearer", wherever they stand in a text. */
const TOKENS = /trbe_[\w-]{43}|\beyJ[\w-]+\.[\w-]+\.[\w-]*|(?<=\bBearer +)[^\s"]+/g;

/** A copy that may be written: no secrets, no numbers of tensors, errors with their causes. */
function conceal(value: unknown, depth = 0): unknown {
  if (typeof value === "string") return value.replace(TOKENS, CONCEALED);
  if (typeof value !== "object" || value === null) return value;
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) {
    return `[${value.constructor.name} of ${value.byteLength} bytes]`;
  }
  if (depth >= MAX_DEPTH) return "[deeper]";
  if (Array.isArray(value)) return value.map((item) => conceal(item, depth + 1));
  const fields = value instanceof Error ? errorFields(value) : Object.entries(value);
  return Object.fromEntries(
    fields.map(([key, field]) => [
      key,
      SECRETS.has(key.toLowerCase()) ? CONCEALED : conceal(field, depth + 1),
    ]),
  );
}

function errorFields(error: Error): [string, unknown][] {
  const { name, message, stack, cause } = error;
  return [
    ...Object.entries(error),
    ["name", name],
    ["message", message],
    ["stack", stack],
    ...(cause === undefined ? [] : [["cause", cause] as [string, unknown]]),
  ];
}

/** `12:00:01.123 info  round committed  taskId=digits roundNumber=3` */
function forPeople(line: string): string {
  const { time, level, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const rest = Object.entries(fields).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
  const head = `${String(time).slice(11, 23)} ${String(level).padEnd(5)} ${String(msg)}`;
  return `${[head, rest.join(" ")].join(rest.length > 0 ? "  " : "")}\n`;
}
