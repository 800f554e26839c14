import { createHash } from "node:crypto";

import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { digestFromBytes, digestToBytes, isDigest, sha256 } from "./index.ts";

describe("digest", () => {
  it("[PR14] is SHA-256 as Node knows it, in lower-case hexadecimal", async () => {
    expect(await sha256(new TextEncoder().encode("abc"))).toBe(
      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", // FIPS 180-4, appendix
    );
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
        const digest = await sha256(bytes);
        expect(digest).toBe(createHash("sha256").update(bytes).digest("hex"));
        expect(isDigest(digest)).toBe(true);
      }),
    );
  });

  it("[PR14] of a part of a larger buffer is of that part only", async () => {
    const bytes = new TextEncoder().encode("xabcx").subarray(1, 4);
    expect(await sha256(bytes)).toBe(await sha256(new TextEncoder().encode("abc")));
  });

  it("[PR14] goes to bytes and back", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => {
        expect(digestToBytes(digestFromBytes(bytes))).toEqual(bytes);
      }),
    );
  });
});
