import { expect, test } from "vitest";

import { contentDigestOf, parseContentDigest } from "./content-digest.ts";
import { sha256 } from "./digest.ts";
import { isFederatedError } from "./errors.ts";

/** RFC 9530, appendix B.1: the body, and its header. */
const BODY = new TextEncoder().encode('{"hello": "world"}\n');
const HEADER = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:";

test("[AT1] the header is as RFC 9530 has it", async () => {
  const digest = await sha256(BODY);
  expect(contentDigestOf(digest)).toBe(HEADER);
  expect(parseContentDigest(HEADER)).toBe(digest);
  expect(parseContentDigest(`sha-512=:AAAA:, ${HEADER}`)).toBe(digest);
});

test("[AT1] a header without SHA-256 says nothing, and one with a wrong SHA-256 is refused", () => {
  for (const silent of [undefined, "", "md5=:AAAA:", "sha-512=:AAAA:, unixsum=30637", ":::"]) {
    expect(parseContentDigest(silent)).toBeUndefined();
  }
  const cut = HEADER.slice(0, -3);
  for (const wrong of [cut, "sha-256=", "sha-256=:AAAA:", "sha-256=::", `x, ${cut}`]) {
    try {
      parseContentDigest(wrong);
      expect.unreachable(wrong);
    } catch (error) {
      expect(isFederatedError(error) && error.code, wrong).toBe("MALFORMED_MESSAGE");
    }
  }
});
