/** How a command fails: one clear line, and an exit code that a script can act on. */

import type { ErrorCode } from "@tributary/protocol";
import { FederatedError, isFederatedError } from "@tributary/protocol";
import { CommanderError } from "commander";

import type { Fault } from "../config/schema.ts";
import type { CliIo } from "./io.ts";
import { note } from "./io.ts";

export const EXIT = {
  ok: 0,
  failure: 1,
  usage: 2,
  configInvalid: 3,
  notFound: 4,
  unauthorised: 5,
  unreachable: 6,
  stalled: 7,
  interrupted: 130,
} as const;

export const EXIT_CODES_HELP = `
Exit codes:
  0  done
  1  failed
  2  wrong usage
  3  configuration or task not valid
  4  not found
  5  not authorised
  6  coordinator cannot be reached
  7  a simulation whose rounds come to nothing
  130  interrupted`;

const EXIT_OF: Readonly<Partial<Record<ErrorCode, number>>> = {
  CONFIG_INVALID: EXIT.configInvalid,
  NOT_FOUND: EXIT.notFound,
  TASK_NOT_FOUND: EXIT.notFound,
  ROUND_NOT_FOUND: EXIT.notFound,
  MODEL_NOT_FOUND: EXIT.notFound,
  UNAUTHENTICATED: EXIT.unauthorised,
  FORBIDDEN: EXIT.unauthorised,
};

/** The error of a connection that failed, as against a coordinator that answers UNAVAILABLE. */
export const unreachable = (url: string, reason: string, cause: unknown): FederatedError =>
  connectionFailure(url, `(${reason}); is it running? --url names another`, cause);
/** The error where somebody is there, and TLS does not come about. */
export const untrusted = (url: string, reason: string, cause: unknown): FederatedError =>
  connectionFailure(url, `over TLS: ${reason}`, cause);

const connectionFailure = (url: string, reason: string, cause: unknown): FederatedError =>
  new FederatedError("UNAVAILABLE", `cannot reach a coordinator at ${url} ${reason}`, {
    cause,
    details: { unreachable: url },
  });
const isUnreachable = ({ details }: FederatedError): boolean => details?.unreachable !== undefined;

/** An outcome that is a failure, though nothing broke; its result has been told. */
export class Unsuccessful extends Error {
  override readonly name = "Unsuccessful";
  readonly exitCode: number;

  /** @param message begins with the code of the outcome */
  constructor(exitCode: number, message: string) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** Writes what went wrong to standard error. @returns the exit code */
export function reportFailure(io: CliIo, error: unknown, debug: boolean): number {
  // Commander has written its own message.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  if (io.signal?.aborted === true) return EXIT.interrupted;
  if (debug && error instanceof Error) {
    note(io, error.stack ?? error.message);
    if (error.cause instanceof Error) note(io, `cause: ${error.cause.stack ?? ""}`);
  } else {
    for (const line of linesOf(error)) note(io, line);
  }
  if (error instanceof Unsuccessful) return error.exitCode;
  if (!isFederatedError(error)) return EXIT.failure;
  if (isUnreachable(error)) return EXIT.unreachable;
  return EXIT_OF[error.code] ?? EXIT.failure;
}

function linesOf(error: unknown): string[] {
  if (!isFederatedError(error)) {
    return [`error: ${error instanceof Error ? error.message : String(error)}`];
  }
  const faults = error.details?.faults;
  if (error.code !== "CONFIG_INVALID" || !Array.isArray(faults)) {
    return [`error: ${error.code} ${error.message}`];
  }
  const count = faults.length === 1 ? "1 fault" : `${faults.length} faults`;
  const [what] = error.message.split(":");
  return [
    `error: CONFIG_INVALID ${what}, ${count}:`,
    ...(faults as readonly Fault[]).map(({ path, message }) => `  ${path} ${message}`),
  ];
}
