import { routes } from "@tributary/protocol";
import type { FastifyInstance, InjectOptions } from "fastify";
import { afterEach, expect, test } from "vitest";

import type { FakeHeart } from "../app.fixture.ts";
import { ADMIN, createFakeHeart, ENROLMENT_TOKEN, READER, VIEWER } from "../app.fixture.ts";
import { createHttpApp } from "../app.ts";

let app: FastifyInstance;
let heart: FakeHeart;
afterEach(() => app.close());

async function start() {
  heart = await createFakeHeart({ protected: true });
  app = await createHttpApp(heart.deps);
}
const as = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });
const list: InjectOptions = { url: routes.enrolmentTokens.path() };
const issue: InjectOptions = { method: "POST", url: routes.enrolmentTokens.path(), payload: {} };
const revoke: InjectOptions = {
  method: "DELETE",
  url: routes.enrolmentToken.path({ tokenId: "0123456789abcdef" }),
};

test("[AU13] an operator issues, lists and revokes; the token is in the answer to issuing alone", async () => {
  await start();
  const payload = { uses: 3, expiresInMs: 60_000, label: "ward 7" };
  const issued = await app.inject({ ...issue, payload, ...as(ADMIN) });
  expect(issued.statusCode).toBe(201);
  expect(issued.headers["cache-control"]).toBe("no-store");
  expect(issued.json()).toMatchObject({ tokenId: "0123456789abcdef", token: ENROLMENT_TOKEN });
  const listed = await app.inject({ ...list, ...as(ADMIN) });
  const revoked = await app.inject({ ...revoke, ...as(ADMIN) });
  expect(listed.json()).toMatchObject({ items: [{ label: "ward 7", uses: 3, used: 1 }] });
  expect(revoked.json()).toMatchObject({ state: "revoked" });
  for (const { body } of [listed, revoked]) expect(body).not.toMatch(/trbe_|f00d|clientId|c0ffee/);
  expect(heart.calls).toEqual([
    ["issue", payload],
    ["enrolment tokens", { limit: 50 }],
    ["revoke", "0123456789abcdef"],
  ]);
});

test("[AU2] a viewer lists enrolment tokens, and neither issues nor revokes; a client sees none", async () => {
  await start();
  expect((await app.inject({ ...list, ...as(VIEWER) })).statusCode).toBe(200);
  expect((await app.inject({ ...list, ...as(READER) })).json()).toMatchObject({
    code: "FORBIDDEN",
  });
  expect((await app.inject(list)).json()).toMatchObject({ code: "UNAUTHENTICATED" });
  for (const request of [issue, revoke]) {
    for (const token of [VIEWER, READER]) {
      expect((await app.inject({ ...request, ...as(token) })).json()).toMatchObject({
        code: "FORBIDDEN",
      });
    }
  }
  expect(heart.calls).toEqual([["enrolment tokens", { limit: 50 }]]);
});

test("[AU13] a request with unknown fields, impossible numbers or labels is refused before it counts", async () => {
  await start();
  for (const payload of [{ use: 1 }, { uses: 0 }, { expiresInMs: 0 }, { label: "\u001b[2J" }]) {
    const answer = await app.inject({ ...issue, payload, ...as(ADMIN) });
    expect(answer.json(), JSON.stringify(payload)).toMatchObject({ code: "MALFORMED_MESSAGE" });
  }
  const odd = await app.inject({
    method: "DELETE",
    url: "/v1/enrolment-tokens/latest",
    ...as(ADMIN),
  });
  expect(odd.json()).toMatchObject({ code: "MALFORMED_MESSAGE" });
  expect(heart.calls).toEqual([]);
});
