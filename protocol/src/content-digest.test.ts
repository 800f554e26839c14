import { expect, test } from "vitest";

import { checksumOf } from "./checksum.ts";
import { contentDigestOf, parseContentDigest } from "./content-digest.ts";
import { sha256 } from "./digest.ts";
import { isFederatedError } from "./errors.ts";

/** RFC 9530, appendix B.1: the body, and its header. */
const BODY = new TextEncoder().encode('{"hello": "world"}\n');
const HEADER = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:";

test("[AT1] the header is as RFC 9530 has it", async () => {
  const digest = { sha256: await sha256(BODY) };
  expect(contentDigestOf(digest)).toBe(HEADER);
  expect(parseContentDigest(HEADER)).toEqual(digest);
  expect(parseContentDigest(`sha-512=:AAAA:, ${HEADER}`)).toEqual(digest);
});

test("[AT1] it takes the checksum under a key of its own, alone or beside SHA-256", async () => {
  const both = { sha256: await sha256(BODY), checksum: checksumOf(BODY) };
  const { checksum } = both;
  const header = contentDigestOf({ checksum });
  expect(header).toMatch(/^tributary-128=:[A-Za-z0-9+/]{22}==:$/);
  expect(parseContentDigest(header)).toEqual({ checksum });
  expect(parseContentDigest(contentDigestOf(both))).toEqual(both);
  expect(parseContentDigest(` ${header} , md5=:AAAA:,${HEADER}`)).toEqual(both);
});

test("[AT1] a header without SHA-256 says nothing, and one with a wrong SHA-256 is refused", () => {
  for (const silent of [
    undefined,
    "",
    "md5=:AAAA:",
    "sha-512=:AAAA:, unixsum=30637",
    ":::",
    "sha-256",
  ]) {
    expect(parseContentDigest(silent)).toEqual({});
  }
  const cut = HEADER.slice(0, -3);
  const own = contentDigestOf({ checksum: checksumOf(BODY) }).slice(0, -3);
  const cuts = [cut, `x, ${cut}`, own, `${HEADER}, ${own}`];
  const short = ["sha-256=", "sha-256=:AAAA:", "sha-256=::", "tributary-128=:AAAA:"];
  for (const wrong of [...cuts, ...short]) {
    try {
      parseContentDigest(wrong);
      expect.unreachable(wrong);
    } catch (error) {
      expect(isFederatedError(error) && error.code, wrong).toBe("MALFORMED_MESSAGE");
    }
  }
});
