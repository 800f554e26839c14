/** What a log may say of a task under privacy: logs are read, shipped and kept by many more than the operator. */

import { isFederatedError } from "@tributary/protocol";

import type { TaskRecord } from "../ports.ts";

export const isPrivate = ({ spec }: Pick<TaskRecord, "spec">): boolean =>
  spec.privacy.mechanism !== "none";

/**
 * An error as it may be logged. Of a private task an arithmetic one loses its text, which may hold a norm or
 * a sum; where it was thrown says enough. Coded ones, of the system or our own, speak of files and settings.
 */
export function errorToLog(task: Pick<TaskRecord, "spec">, error: unknown): unknown {
  if (!isPrivate(task)) return error;
  if (!(error instanceof Error)) return "withheld";
  const code = (error as { code?: unknown }).code;
  if (isFederatedError(error) || typeof code === "string") return error;
  const frames = error.stack?.split("\n").filter((line) => /^\s+at /.test(line)) ?? [];
  return { name: error.name, message: "withheld", stack: frames.join("\n") };
}
