import { FederatedError } from "@tributary/protocol";
import { expect, test } from "vitest";

import type { TokenSource } from "./credentials.ts";
import { createCredentials } from "./credentials.ts";
import type { Fetch } from "./http.ts";
import { createHttp } from "./http.ts";

const KEY = "A".repeat(43);
const INVITATION = `trbe_${"s".repeat(43)}`;
const never = new AbortController().signal;

/** A source that gives these tokens one after the other, the last one for ever. */
function sourceOf(...tokens: string[]) {
  const asked = { times: 0 };
  const source: TokenSource = async () => tokens[Math.min(asked.times++, tokens.length - 1)]!;
  return { source, asked };
}

test("[AU16] an app's token is asked for anew for every connection, a string is not asked for", async () => {
  const { source, asked } = sourceOf("one", "two");
  const credentials = createCredentials(source, KEY);
  expect(await credentials.forHandshake()).toEqual({ clientKey: KEY, token: "one" });
  expect(await credentials.bearer()).toBe("one");
  expect(asked.times).toBe(1);
  expect(await credentials.forHandshake()).toEqual({ clientKey: KEY, token: "two" });
  expect(await credentials.bearer()).toBe("two");
  expect(await createCredentials("fixed", KEY).forHandshake()).toMatchObject({ token: "fixed" });
  expect(await createCredentials(undefined, KEY).forHandshake()).toEqual({ clientKey: KEY });
  expect([credentials.renewable, createCredentials("fixed", KEY).renewable]).toEqual([true, false]);
});

test("[AU16] an enrolled client reads with its key, before and after it needs its token no more", async () => {
  expect(await createCredentials(INVITATION, KEY).bearer()).toBe(KEY);
  expect(await createCredentials(undefined, KEY).bearer()).toBe(KEY);
});

test("[AU17] a refused token is renewed once for all requests; the same one again is no renewal", async () => {
  const { source, asked } = sourceOf("one", "two");
  const credentials = createCredentials(source, KEY);
  await credentials.bearer();
  expect(await credentials.renew("one")).toBe("two");
  expect(await credentials.renew("one")).toBe("two");
  expect(asked.times).toBe(2);
  expect(await credentials.renew("two")).toBeUndefined();
  expect(await createCredentials("fixed", KEY).renew("fixed")).toBeUndefined();
});

test("[AU17] an app that fails to give a token is asked again later; one that gives none is told", async () => {
  const failing = createCredentials(() => Promise.reject(new Error("offline")), KEY);
  await expect(failing.forHandshake()).rejects.toMatchObject({
    code: "UNAVAILABLE",
    retryable: true,
  });
  const wrong = createCredentials((() => undefined) as unknown as () => string, KEY);
  await expect(wrong.forHandshake()).rejects.toMatchObject({ code: "CONFIG_INVALID" });
});

test("[AU17] a request that is refused is made once more with a new token, and not for ever", async () => {
  const bearers: (string | null)[] = [];
  const fetch: Fetch = async (_, init) => {
    const bearer = new Headers(init?.headers).get("authorization");
    bearers.push(bearer);
    if (bearer === "Bearer good") return Response.json({ keys: [] });
    const error = new FederatedError("UNAUTHENTICATED", "it has expired");
    return Response.json(error.toProblem(), { status: 401 });
  };
  const httpOf = (source: TokenSource) =>
    createHttp({
      origin: "http://coordinator.test",
      credentials: createCredentials(source, KEY),
      fetch,
      backoff: { baseMs: 1, maxMs: 1, random: () => 0 },
      requestTimeoutMs: 1_000,
    });
  await httpOf(sourceOf("old", "good").source)
    .getKeys({ signal: never })
    .catch(() => undefined);
  expect(bearers).toEqual(["Bearer old", "Bearer good"]);
  bearers.length = 0;
  const hopeless = httpOf(sourceOf("1", "2", "3", "4").source);
  await expect(hopeless.getKeys({ signal: never })).rejects.toMatchObject({
    code: "UNAUTHENTICATED",
  });
  expect(bearers).toEqual(["Bearer 1", "Bearer 2"]);
});

test("[AU16] a token that no header can carry is refused at once, and never repeated", async () => {
  for (const token of ["s3cret\nline", "s3cret word", "s3cr\u00e9t", ""]) {
    expect(() => createCredentials(token, KEY)).toThrow(
      expect.objectContaining({
        code: "CONFIG_INVALID",
        message: expect.not.stringContaining("s3cr") as string,
      }),
    );
  }
  const { source } = sourceOf("s3cret\nline");
  await expect(createCredentials(source, KEY).forHandshake()).rejects.toMatchObject({
    code: "CONFIG_INVALID",
    message: expect.not.stringContaining("s3cr") as string,
  });
});
