import { expect, test } from "vitest";

import { clientIdOf, createAccountPseudonym } from "./pseudonym.ts";

const secret = new Uint8Array(32).fill(7);
const ada = { issuer: "https://id.example", subject: "ada@example.com" };

test("[CL2] a client's id is a pseudonym of its key: stable, distinct, and not the key", async () => {
  const key = "A".repeat(43);
  const id = await clientIdOf(key);
  expect(await clientIdOf(key)).toBe(id);
  expect(await clientIdOf("B".repeat(43))).not.toBe(id);
  // Stores hold ids of this very derivation: it must never change.
  expect(id).toBe("94cc0170034f931055e892aabc7149be");
});

test("[AU6] an account's pseudonym is stable, and one of issuer and subject together", async () => {
  const pseudonymOf = await createAccountPseudonym(secret);
  const id = await pseudonymOf(ada);
  expect(id).toMatch(/^[0-9a-f]{32}$/);
  expect(await pseudonymOf({ ...ada })).toBe(id);
  expect(await (await createAccountPseudonym(secret))(ada)).toBe(id);
  const others = [
    { ...ada, subject: "eve@example.com" },
    { ...ada, issuer: "https://other.example" },
    { issuer: "", subject: `${ada.issuer}${ada.subject}` },
    { issuer: `${ada.issuer}","${ada.subject}`, subject: "" },
  ];
  const ids = new Set(await Promise.all(others.map(pseudonymOf)));
  expect(ids.size).toBe(others.length);
  expect(ids).not.toContain(id);
});

test("[AU6] without the coordinator's secret no dictionary of accounts gives a pseudonym", async () => {
  const id = await (await createAccountPseudonym(secret))(ada);
  const guess = await createAccountPseudonym(new Uint8Array(32).fill(8));
  expect(await guess(ada)).not.toBe(id);
});
