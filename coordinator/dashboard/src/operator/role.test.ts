import { FederatedError } from "@tributary/protocol";
import { computed, signal } from "@preact/signals";
import { expect, test } from "vitest";

import { createSession } from "../data/session.ts";
import type { Store } from "../data/store.ts";
import { noteFault, reasonAgainst } from "./role.ts";

const storeOf = (withheld: boolean) =>
  ({ tasks: signal([{ withheld: signal(withheld) }]) }) as unknown as Pick<Store, "tasks">;

test("[DB61] a refusal holds for the token that was refused, and ends with another", () => {
  const session = createSession(undefined);
  const store = storeOf(false) as Store;
  const against = computed(() => reasonAgainst({ session, store }));
  expect(against.value).toBeUndefined();
  noteFault({ session }, new FederatedError("TASK_ENDED", "it has ended"));
  noteFault({ session }, new FederatedError("UNAVAILABLE", "later"));
  expect(against.value).toBeUndefined();
  noteFault({ session }, new FederatedError("UNAUTHENTICATED", "no token"));
  expect(against.value).toBe("Steering tasks needs the operator’s token.");
  session.signIn("viewer");
  expect(against.value).toBeUndefined();
  noteFault({ session }, new FederatedError("FORBIDDEN", "viewer"));
  expect(against.value).toContain("may look and not steer");
  session.signIn("operator");
  expect(against.value).toBeUndefined();
});

test("[DB61] whoever is kept from a private task's numbers is no operator, and is told before a try", () => {
  const session = createSession(undefined);
  session.signIn("some-token");
  expect(reasonAgainst({ session, store: storeOf(true) as Store })).toContain("operator’s");
});
