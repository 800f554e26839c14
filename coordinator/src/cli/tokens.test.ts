import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { Page, EnrolmentTokenResource, IssuedEnrolmentToken } from "@tributary/protocol";
import { isEnrolmentToken } from "@tributary/protocol";
import { afterEach, beforeEach, expect, test } from "vitest";

import type { Coordinator } from "../coordinator.ts";
import { createCoordinator } from "../coordinator.ts";
import { runCli } from "./run.ts";

const ADMIN = "admin-token-of-the-test";
const VIEWER = "viewer-token-of-the-test";
const nothing = () => undefined;
const logger = { debug: nothing, info: nothing, warn: nothing, error: nothing };

let cwd: string;
let coordinator: Coordinator;
let url: string;
beforeEach(async () => {
  cwd = await mkdtemp(join(tmpdir(), "tributary-tokens-"));
  coordinator = await createCoordinator({
    logger,
    config: {
      server: { port: 0 },
      storage: { kind: "memory" },
      auth: { adminToken: ADMIN, viewerToken: VIEWER, enrolment: { enabled: true } },
    },
  });
  ({ url } = await coordinator.listen());
});
afterEach(async () => {
  await coordinator.close();
  await rm(cwd, { recursive: true });
});

async function run(argv: readonly string[], env: Record<string, string> = {}) {
  let out = "";
  let err = "";
  const exitCode = await runCli(["tokens", ...argv], {
    stdout: { write: (text) => void (out += text) },
    stderr: { write: (text) => void (err += text) },
    env: { TRIBUTARY_URL: url, TRIBUTARY_AUTH_ADMIN_TOKEN: ADMIN, ...env },
    cwd,
    isTTY: false,
  });
  return { exitCode, out, err };
}

test("[AU15] tokens create writes the token alone to standard output; list and revoke never show it", async () => {
  const created = await run(["create", "--uses", "3", "--expires", "12h", "--label", "ward 7"]);
  expect(created.exitCode).toBe(0);
  const token = created.out.trim();
  expect(isEnrolmentToken(token)).toBe(true);
  const tokenId = /tokens revoke ([0-9a-f]{16})/.exec(created.err)?.[1] ?? "";
  expect(created.err).toContain("for 3 clients");

  const listed = await run(["list"]);
  expect(listed.out).toContain(`${tokenId}  valid   0/3`);
  expect(listed.out).toContain("ward 7");
  const asJson = await run(["list", "--json"]);
  const { items } = JSON.parse(asJson.out) as Page<EnrolmentTokenResource>;
  expect(Date.parse(items[0]!.expiresAt) - Date.parse(items[0]!.createdAt)).toBe(12 * 3_600_000);

  const revoked = await run(["revoke", tokenId]);
  expect(revoked).toEqual({
    exitCode: 0,
    out: `${tokenId} revoked, 0 clients had come by it\n`,
    err: "",
  });
  expect((await run(["list"])).out).toContain("revoked");
  const rest = [created.err, listed, asJson, revoked].map((part) => JSON.stringify(part)).join();
  expect(rest).not.toContain(token.slice(5));
});

test("[AU15] without flags a token is for one client and a week", async () => {
  const created = await run(["create", "--json"]);
  const issued = JSON.parse(created.out) as IssuedEnrolmentToken;
  expect(issued).toMatchObject({ uses: 1, used: 0, state: "valid" });
  expect(Date.parse(issued.expiresAt) - Date.parse(issued.createdAt)).toBe(7 * 86_400_000);
  expect(isEnrolmentToken(issued.token)).toBe(true);
});

test("[AU15] what cannot be is refused before it is sent; unknown ids and viewers by the coordinator", async () => {
  for (const argv of [
    ["create", "--uses", "0"],
    ["create", "--uses", "many"],
    ["create", "--expires", "7"],
    ["create", "--expires", "0d"],
    ["create", "--expires", "400d"],
  ]) {
    expect((await run(argv)).exitCode, argv.join(" ")).toBe(2);
  }
  expect(await run(["revoke", "0".repeat(16)])).toMatchObject({ exitCode: 4 });
  const viewer = { TRIBUTARY_AUTH_ADMIN_TOKEN: VIEWER };
  expect(await run(["list"], viewer)).toMatchObject({ exitCode: 0 });
  const refused = await run(["create"], viewer);
  expect(refused.exitCode).toBe(5);
  expect(refused.err).toContain("role operator");
});
