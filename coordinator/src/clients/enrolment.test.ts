import type { ClientId } from "@tributary/protocol";
import { isEnrolmentToken } from "@tributary/protocol";
import { expect, test } from "vitest";

import type { Clock } from "../ports.ts";
import { createSecureRandom } from "../privacy/random.ts";
import { createMemoryStore } from "../storage/memory.ts";
import { createAuthenticator } from "./auth.ts";
import { createEnrolment } from "./enrolment.ts";
import { clientIdOf } from "./pseudonym.ts";

const WEEK_MS = 7 * 86_400_000;
const keyOf = (letter: string) => letter.repeat(43);

function start({ enabled = true, clientToken }: { enabled?: boolean; clientToken?: string } = {}) {
  let now = 1_800_000_000_000;
  const clock: Clock = {
    now: () => now,
    monotonicMs: () => now,
    after: () => ({ cancel: () => undefined }),
  };
  const store = createMemoryStore(clock.now);
  const dismissed: ClientId[] = [];
  const enrolment = createEnrolment(
    {
      store: store.enrolments,
      clock,
      random: createSecureRandom(),
      gateway: { dismiss: (clientIds) => void dismissed.push(...clientIds) },
    },
    { enabled },
  );
  const auth = createAuthenticator(
    { pseudonymOf: async () => "account" as ClientId, ...(enabled ? { enrolment } : {}) },
    clientToken === undefined ? {} : { clientToken },
  );
  const come = (letter: string, token?: string) =>
    auth.client({ clientKey: keyOf(letter), ...(token === undefined ? {} : { token }) });
  return { store, enrolment, auth, come, dismissed, pass: (ms: number) => (now += ms) };
}
const unauthenticated = { code: "UNAUTHENTICATED" };

test("[AU10] the first handshake uses the token up; from then on the key alone lets in", async () => {
  const { enrolment, auth, come } = start();
  await expect(come("A")).rejects.toMatchObject(unauthenticated);
  const { token } = await enrolment.create();
  const first = await come("A", token);
  expect(first).toEqual({ clientId: await clientIdOf(keyOf("A")) });
  expect(await come("A", token)).toEqual(first);
  expect(await come("A")).toEqual(first);
  await expect(come("B", token)).rejects.toThrow(/used up/);
  await expect(auth.reader(keyOf("A"))).resolves.toBeUndefined();
  await expect(auth.reader(keyOf("B"))).rejects.toMatchObject(unauthenticated);
  await expect(auth.reader(token)).rejects.toMatchObject(unauthenticated);
  expect((await enrolment.list({ limit: 9 })).items).toMatchObject([
    { uses: 1, used: 1, state: "usedUp" },
  ]);
});

test("[AU11] a token is good for a week, or for as long as it says; who is in stays", async () => {
  const { enrolment, come, pass } = start();
  const week = await enrolment.create({ uses: 9 });
  const hour = await enrolment.create({ uses: 9, expiresInMs: 3_600_000 });
  expect(Date.parse(week.expiresAt) - Date.parse(week.createdAt)).toBe(WEEK_MS);
  pass(3_600_000);
  await expect(come("A", hour.token)).rejects.toThrow(/expired/);
  await come("A", week.token);
  pass(WEEK_MS);
  await expect(come("B", week.token)).rejects.toThrow(/expired/);
  await expect(come("A")).resolves.toBeTruthy();
  expect((await enrolment.list({ limit: 9 })).items.map(({ state }) => state)).toEqual([
    "expired",
    "expired",
  ]);
});

test("[AU12] who came by a revoked token is dismissed and refused everywhere until it enrols anew", async () => {
  const { enrolment, auth, come, dismissed } = start({ clientToken: "one-for-all-clients" });
  const { token, tokenId } = await enrolment.create({ uses: 2 });
  const { clientId } = await come("A", token);
  await come("B", "one-for-all-clients");
  await expect(auth.assertAdmitted(clientId)).resolves.toBeUndefined();
  await enrolment.revoke(tokenId);
  expect(dismissed).toEqual([clientId]);
  for (const attempt of [
    () => come("A"),
    () => come("A", token),
    () => come("A", "one-for-all-clients"),
    () => auth.reader(keyOf("A")),
    () => auth.assertAdmitted(clientId),
  ]) {
    await expect(attempt()).rejects.toThrow(/revoked/);
  }
  await expect(come("C", token)).rejects.toThrow(/revoked/);
  await expect(come("B", "one-for-all-clients")).resolves.toBeTruthy();
  const other = await enrolment.create();
  expect(await come("A", other.token)).toEqual({ clientId });
  await expect(auth.assertAdmitted(clientId)).resolves.toBeUndefined();
});

test("[AU13] a token is shown when it is issued, and is nowhere in the store or the list", async () => {
  const { store, enrolment } = start();
  const issued = await Promise.all([1, 2, 3].map(() => enrolment.create({ label: "ward 7" })));
  expect(new Set(issued.map(({ token }) => token)).size).toBe(3);
  const kept = JSON.stringify([
    await store.enrolments.list({ limit: 9 }),
    await enrolment.list({ limit: 9 }),
    await enrolment.revoke(issued[0]!.tokenId),
    await store.audit.list({ limit: 9 }),
  ]);
  for (const { token, tokenId } of issued) {
    expect(isEnrolmentToken(token)).toBe(true);
    expect(kept).not.toContain(token.slice(5));
    expect(kept).toContain(tokenId);
    expect(token).not.toContain(tokenId);
  }
  const page = await enrolment.list({ limit: 2 });
  expect(page.next).toBe(2);
  expect(await enrolment.list({ limit: 2, before: 2 })).toMatchObject({ items: [{}] });
});

test.each([
  [{ uses: 0 }, "uses"],
  [{ uses: 1.5 }, "uses"],
  [{ uses: 1_000_001 }, "uses"],
  [{ expiresInMs: 0 }, "expiresInMs"],
  [{ expiresInMs: 367 * 86_400_000 }, "expiresInMs"],
  [{ label: "" }, "label"],
  [{ label: "\u001b[31mred" }, "label"],
])("[AU13] a token as senseless as %j is not issued", async (request, path) => {
  await expect(start().enrolment.create(request)).rejects.toMatchObject({
    code: "CONFIG_INVALID",
    details: { faults: [{ path }] },
  });
});

test("[AU13] where enrolment is not enabled, none is issued and none lets in", async () => {
  const on = start();
  const { token } = await on.enrolment.create();
  const off = start({ enabled: false, clientToken: "one-for-all-clients" });
  await expect(off.enrolment.create()).rejects.toThrow(/TRIBUTARY_AUTH_ENROLMENT_ENABLED/);
  await expect(off.come("A", token)).rejects.toMatchObject(unauthenticated);
});
