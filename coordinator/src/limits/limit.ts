/** The limits that refuse, by the name of their setting, and the one error that says so. */

import { FederatedError, isFederatedError } from "@tributary/protocol";

/** Names of settings below `limits`: whoever reads a refusal knows which number to look at. */
export const LIMITS = [
  "maxConnections",
  "maxClients",
  "connectionsPerAddress",
  "connectionsPerClient",
  "handshakeTimeoutMs",
  "headersTimeoutMs",
  "requestsPerSecondPerAddress",
  "failedAuthenticationsPerSecondPerAddress",
  "messagesPerSecond",
  "checkInsPerSecond",
  "checkInsPerSecondPerClient",
  "heldCheckIns",
  "roundsPerClientPerDay",
  "queuedUploads",
  "uploadTimeoutMs",
  "minUploadBytesPerSecond",
  "minDownloadBytesPerSecond",
  "sseStreams",
] as const;

export type Limit = (typeof LIMITS)[number];

/** Where refusals are counted. */
export type CountRefusal = (limit: Limit) => void;

/** RATE_LIMITED, with the name of the limit in its details. */
export const overLimit = (limit: Limit, message: string, retryAfterMs: number): FederatedError =>
  new FederatedError("RATE_LIMITED", message, {
    retryAfterMs: Math.ceil(retryAfterMs),
    details: { limit },
  });

/** The limit that an error speaks of. */
export function limitOf(error: unknown): Limit | undefined {
  if (!isFederatedError(error)) return undefined;
  return LIMITS.find((limit) => limit === error.details?.limit);
}
