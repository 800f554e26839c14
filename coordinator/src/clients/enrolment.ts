/**
 * Enrolment: a token that the operator issues lets so many new clients in; from then on a client's own key
 * is its credential, until the token by which it came is revoked.
 */

import type {
  ClientId,
  EnrolmentTokenRequest,
  EnrolmentTokenResource,
  EnrolmentTokenState,
} from "@tributary/protocol";
import {
  ENROLMENT_LABEL_PATTERN,
  FederatedError,
  MAX_ENROLMENT_SPAN_MS,
  MAX_ENROLMENT_USES,
  sha256,
  toBase64Url,
} from "@tributary/protocol";

import type {
  ClientGateway,
  Clock,
  EnrolmentRegistry,
  EnrolmentStore,
  EnrolmentTokenRecord,
  Random,
} from "../ports.ts";

export interface EnrolmentDeps {
  readonly store: EnrolmentStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly gateway: Pick<ClientGateway, "dismiss">;
}

export interface EnrolmentOptions {
  readonly enabled: boolean;
}

export interface Enrolment extends EnrolmentRegistry {
  /**
   * Is the client enrolled? With `token` it becomes so where it is not.
   * @throws FederatedError UNAUTHENTICATED for a token that lets nobody in, and for a client whose
   * enrolment was revoked
   */
  admit(clientId: ClientId, token: string | undefined): Promise<boolean>;
  /** @throws FederatedError UNAUTHENTICATED */
  assertNotRevoked(clientId: ClientId): Promise<void>;
}

/** A week: time to hand a token over by mail, and little for one that was forgotten there. */
const DEFAULT_SPAN_MS = 7 * 86_400_000;
const PREFIX = "trbe_";
const LABEL = new RegExp(ENROLMENT_LABEL_PATTERN);

export function createEnrolment(
  { store, clock, random, gateway }: EnrolmentDeps,
  { enabled }: EnrolmentOptions,
): Enrolment {
  const resourceOf = (token: EnrolmentTokenRecord): EnrolmentTokenResource => {
    const { tokenId, label, uses, used, createdAt, expiresAt, revokedAt } = token;
    return {
      tokenId,
      ...(label === undefined ? {} : { label }),
      state: stateOf(token, clock.now()),
      uses,
      used,
      createdAt: iso(createdAt),
      expiresAt: iso(expiresAt),
      ...(revokedAt === undefined ? {} : { revokedAt: iso(revokedAt) }),
    };
  };

  return {
    create: async (request = {}) => {
      if (!enabled) {
        throw new FederatedError(
          "CONFIG_INVALID",
          "clients cannot enrol here: auth.enrolment.enabled is false; set it (TRIBUTARY_AUTH_ENROLMENT_ENABLED=true) and start again",
        );
      }
      const { uses = 1, expiresInMs = DEFAULT_SPAN_MS, label } = assertSensible(request);
      const token = PREFIX + toBase64Url(random.bytes(32));
      const now = clock.now();
      const record: EnrolmentTokenRecord = {
        tokenId: hex(random.bytes(8)),
        digest: await digestOf(token),
        ...(label === undefined ? {} : { label }),
        uses,
        used: 0,
        createdAt: now,
        expiresAt: now + expiresInMs,
      };
      await store.add(record);
      return { ...resourceOf(record), token };
    },
    list: async (page) => {
      const tokens = await store.list(page);
      const last = tokens.at(-1);
      return {
        items: tokens.map(({ token }) => resourceOf(token)),
        ...(last !== undefined && tokens.length === page.limit && last.number > 1
          ? { next: last.number }
          : {}),
      };
    },
    revoke: async (tokenId) => {
      const { token, clients } = await store.revoke(tokenId, clock.now());
      gateway.dismiss(clients);
      return resourceOf(token);
    },
    admit: async (clientId, token) => {
      const held = await store.tokenOf(clientId);
      if (held !== undefined && held.revokedAt === undefined) return true;
      if (token !== undefined) {
        await store.enrol(clientId, await digestOf(token), clock.now());
        return true;
      }
      if (held !== undefined) throw revoked();
      return false;
    },
    assertNotRevoked: async (clientId) => {
      if ((await store.tokenOf(clientId))?.revokedAt !== undefined) throw revoked();
    },
  };
}

const revoked = () =>
  new FederatedError(
    "UNAUTHENTICATED",
    "the token by which this client enrolled was revoked; ask the operator for another one",
  );

function stateOf(
  { revokedAt, expiresAt, used, uses }: EnrolmentTokenRecord,
  now: number,
): EnrolmentTokenState {
  if (revokedAt !== undefined) return "revoked";
  if (used >= uses) return "usedUp";
  return now >= expiresAt ? "expired" : "valid";
}

/** @throws FederatedError CONFIG_INVALID with every fault */
function assertSensible(request: EnrolmentTokenRequest): EnrolmentTokenRequest {
  const faults: { path: string; message: string }[] = [];
  const check = (path: "uses" | "expiresInMs", most: number) => {
    const value = request[path];
    if (value === undefined || (Number.isInteger(value) && value >= 1 && value <= most)) return;
    faults.push({ path, message: `must be an integer from 1 to ${most}, got ${value}` });
  };
  check("uses", MAX_ENROLMENT_USES);
  check("expiresInMs", MAX_ENROLMENT_SPAN_MS);
  if (request.label !== undefined && !LABEL.test(request.label)) {
    const message = "must be 1 to 100 characters, none of them a control character";
    faults.push({ path: "label", message });
  }
  if (faults.length === 0) return request;
  const told = faults.map(({ path, message }) => `${path} ${message}`).join("; ");
  throw new FederatedError("CONFIG_INVALID", `the enrolment token is not valid: ${told}`, {
    details: { faults },
  });
}

/** 256 random bits: no dictionary undoes the hash, so it needs no salt and no slowness. */
const digestOf = (token: string) =>
  sha256(new TextEncoder().encode(`tributary enrolment token ${token}`));

const iso = (instant: number) => new Date(instant).toISOString();
const hex = (bytes: Uint8Array) =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
