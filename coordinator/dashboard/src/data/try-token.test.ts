import type { ErrorCode } from "@tributary/protocol";
import { FederatedError } from "@tributary/protocol";
import { expect, test } from "vitest";

import type { OpenInit } from "./api.ts";
import { createSession } from "./session.ts";
import { tryToken } from "./try-token.ts";

/** A coordinator that refuses with this code; undefined: it takes the token. */
function coordinator(code?: ErrorCode) {
  const session = createSession(undefined);
  const asked: string[] = [];
  const api = {
    open: async (path: string, { headers }: OpenInit = {}) => {
      asked.push(`${path} with ${headers?.authorization} of ${session.token.peek() ?? "nobody"}`);
      if (code !== undefined) throw new FederatedError(code, "no");
      return Response.json({});
    },
  };
  return { session, asked, api };
}

test("[DB13] a token is tried on a route that asks everybody for a role, and kept if it is taken", async () => {
  const { session, asked, api } = coordinator();
  expect(await tryToken({ api, session }, "sesame")).toBe(true);
  expect(asked).toEqual(["/v1/audit?limit=1 with Bearer sesame of nobody"]);
  expect(session.token.value).toBe("sesame");
});

test.each(["FORBIDDEN", "UNAUTHENTICATED"] as const)(
  "[DB13] one that is refused is not kept: %s",
  async (code) => {
    const { session, api } = coordinator(code);
    expect(await tryToken({ api, session }, "wrong")).toBe(false);
    expect(session.token.value).toBeUndefined();
    session.signIn("old");
    expect(await tryToken({ api, session }, "wrong")).toBe(false);
    expect(session.token.value).toBe("old");
  },
);

test("[DB13] where nobody answers nothing is said of the token", async () => {
  const { session, api } = coordinator("UNAVAILABLE");
  await expect(tryToken({ api, session }, "sesame")).rejects.toMatchObject({ code: "UNAVAILABLE" });
  expect(session.token.value).toBeUndefined();
});
