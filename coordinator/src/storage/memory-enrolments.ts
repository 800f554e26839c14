/** Rows of enrolment tokens that live and die with the process. */

import type { ClientId } from "@tributary/protocol";

import type { EnrolmentTokenRecord } from "../ports.ts";
import type { EnrolmentRows } from "./enrolments.ts";

/** @param copy so that records are never shared with the caller */
export function createMemoryEnrolmentRows(copy: <T>(record: T) => T): EnrolmentRows {
  const tokens: EnrolmentTokenRecord[] = [];
  const clients = new Map<ClientId, string>();
  const find = (accept: (token: EnrolmentTokenRecord) => boolean) => {
    const token = tokens.find(accept);
    return token === undefined ? undefined : copy(token);
  };
  const byId = (tokenId: string | undefined) => find((token) => token.tokenId === tokenId);
  return {
    byId,
    byDigest: (digest) => find((token) => token.digest === digest),
    page: ({ before = Infinity, limit }) =>
      tokens
        .map((token, i) => ({ number: i + 1, token: copy(token) }))
        .filter(({ number }) => number < before)
        .reverse()
        .slice(0, limit),
    put: (token) => {
      const at = tokens.findIndex(({ tokenId }) => tokenId === token.tokenId);
      tokens[at === -1 ? tokens.length : at] = copy(token);
    },
    tokenOf: (clientId) => byId(clients.get(clientId)),
    putClient: (clientId, tokenId) => void clients.set(clientId, tokenId),
    clientsOf: (tokenId) =>
      [...clients].filter(([, id]) => id === tokenId).map(([clientId]) => clientId),
  };
}
