import { expect, test } from "vitest";

import { createApi } from "./api.ts";
import { createServerClock } from "./server-clock.ts";
import { createSession } from "./session.ts";

/** An API whose answers are these, one after the other. */
function apiOf(token: string | undefined, ...answers: (() => Response)[]) {
  const asked: { readonly path: string; readonly init: RequestInit }[] = [];
  const clock = createServerClock();
  const api = createApi({
    fetch: async (path, init = {}) => {
      asked.push({ path: path as string, init });
      const answer = answers.shift();
      if (answer === undefined) throw new TypeError("Failed to fetch");
      return answer();
    },
    token: () => token,
    now: () => 5000,
    clock,
  });
  return { api, asked, clock };
}

test("[DB8] the token travels in a header, no cookie goes along, and the answer's date sets the clock", async () => {
  const date = new Date(60_000).toUTCString();
  const { api, asked, clock } = apiOf("sesame", () =>
    Response.json({ ok: 1 }, { headers: { date } }),
  );
  expect(await api.getJson("/v1/tasks")).toEqual({ ok: 1 });
  expect(asked[0]?.path).toBe("/v1/tasks");
  expect(asked[0]?.init).toMatchObject({
    credentials: "omit",
    headers: { authorization: "Bearer sesame" },
  });
  expect(clock.offsetMs).toBe(55_500);
  const anonymous = apiOf(undefined, () => Response.json({}));
  await anonymous.api.send("POST", "/v1/tasks", { a: 1 });
  expect(anonymous.asked[0]?.init).toMatchObject({ method: "POST", body: '{"a":1}' });
  expect(anonymous.asked[0]?.init.headers).not.toHaveProperty("authorization");
});

test("[DB8] a token that no header can hold is refused like any wrong one, and nobody is asked", async () => {
  const { api, asked } = apiOf("sesame\u200b", () => Response.json({}));
  await expect(api.getJson("/v1/tasks")).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
  expect(asked).toEqual([]);
});

test("[DB8] every fault has a code: the coordinator's own, or what is known of who answered instead", async () => {
  const problem = { code: "TASK_NOT_FOUND", message: "no task", retryable: false };
  const { api } = apiOf(
    "t",
    () => Response.json(problem, { status: 404 }),
    () => new Response("<h1>Bad gateway</h1>", { status: 502 }),
    () => new Response("nope", { status: 401 }),
    () => new Response("not JSON"),
  );
  await expect(api.getJson("/v1/tasks/x")).rejects.toMatchObject(problem);
  await expect(api.getJson("/v1/tasks")).rejects.toMatchObject({
    code: "UNAVAILABLE",
    message: expect.stringContaining("502"),
  });
  await expect(api.getJson("/v1/tasks")).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
  await expect(api.getJson("/v1/tasks")).rejects.toMatchObject({ code: "UNAVAILABLE" });
  await expect(api.getJson("/v1/tasks")).rejects.toMatchObject({ code: "UNAVAILABLE" });
});

test("[DB8] a token is kept with the tab alone, and forgotten when asked to", () => {
  const kept = new Map<string, string>();
  const storage = {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => void kept.set(key, value),
    removeItem: (key: string) => void kept.delete(key),
  } as unknown as Storage;
  createSession(storage).signIn("sesame");
  const again = createSession(storage);
  expect(again.token.value).toBe("sesame");
  again.signOut();
  expect([again.token.value, kept.size]).toEqual([undefined, 0]);
  // A browser that forbids storage.
  const memory = createSession(undefined);
  memory.signIn("sesame");
  expect(memory.token.value).toBe("sesame");
});
