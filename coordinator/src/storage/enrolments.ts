/** Enrolment tokens and who came by them, over plain rows: each call one transaction. */

import type { ClientId, Digest } from "@tributary/protocol";
import { FederatedError } from "@tributary/protocol";

import type {
  AuditFact,
  EnrolmentStore,
  EnrolmentTokenRecord,
  Instant,
  NumberedEnrolmentToken,
} from "../ports.ts";

export interface EnrolmentRows {
  byId(tokenId: string): EnrolmentTokenRecord | undefined;
  byDigest(digest: Digest): EnrolmentTokenRecord | undefined;
  /** Newest first. */
  page(page: { readonly before?: number; readonly limit: number }): NumberedEnrolmentToken[];
  /** Adds the token or replaces it in its place. */
  put(token: EnrolmentTokenRecord): void;
  /** The token by which the client came last. */
  tokenOf(clientId: ClientId): EnrolmentTokenRecord | undefined;
  /** Adds the client or replaces the token by which it came. */
  putClient(clientId: ClientId, tokenId: string): void;
  clientsOf(tokenId: string): ClientId[];
}

export interface EnrolmentStoreDeps {
  readonly rows: EnrolmentRows;
  readonly read: <T>(run: () => T) => Promise<T>;
  readonly write: <T>(run: () => T) => Promise<T>;
  readonly audit: (...facts: readonly AuditFact[]) => void;
}

export function createEnrolmentStore(deps: EnrolmentStoreDeps): EnrolmentStore {
  const { rows, read, write, audit } = deps;
  return {
    add: (token) =>
      write(() => {
        if (rows.byId(token.tokenId) !== undefined || rows.byDigest(token.digest) !== undefined) {
          const message = `there is an enrolment token ${token.tokenId} already`;
          throw new FederatedError("MALFORMED_MESSAGE", message);
        }
        rows.put(token);
        audit(fact("enrolment:issued", "coordinator", token));
      }),
    list: (page) => read(() => rows.page(page)),
    revoke: (tokenId, at) =>
      write(() => {
        const token = rows.byId(tokenId);
        if (token === undefined) {
          throw new FederatedError("NOT_FOUND", `there is no enrolment token ${tokenId}`);
        }
        const clients = rows.clientsOf(tokenId);
        if (token.revokedAt !== undefined) return { token, clients };
        const revoked = { ...token, revokedAt: at };
        rows.put(revoked);
        audit(fact("enrolment:revoked", "coordinator", revoked));
        return { token: revoked, clients };
      }),
    enrol: (clientId, digest, at) =>
      write(() => {
        const held = rows.tokenOf(clientId);
        // Whoever is in already uses nothing up, by whichever token it comes again.
        if (held !== undefined && held.revokedAt === undefined) return;
        const token = assertCanEnrol(rows.byDigest(digest), at);
        const used = { ...token, used: token.used + 1 };
        rows.put(used);
        rows.putClient(clientId, token.tokenId);
        audit(fact("enrolment:used", "client", used));
      }),
    tokenOf: (clientId) => read(() => rows.tokenOf(clientId)),
  };
}

const fact = (
  kind: AuditFact["kind"],
  actor: AuditFact["actor"],
  { tokenId, uses, used }: EnrolmentTokenRecord,
): AuditFact => ({ kind, actor, facts: { tokenId, uses, used } });

/** @throws FederatedError UNAUTHENTICATED */
function assertCanEnrol(token: EnrolmentTokenRecord | undefined, at: Instant) {
  const refuse = (why: string) =>
    new FederatedError("UNAUTHENTICATED", `the enrolment token ${why}; ask the operator for one`);
  if (token === undefined) throw refuse("is none that this coordinator has issued");
  if (token.revokedAt !== undefined) throw refuse("was revoked");
  if (at >= token.expiresAt) throw refuse("has expired");
  if (token.used >= token.uses) throw refuse("has been used up by other clients");
  return token;
}
