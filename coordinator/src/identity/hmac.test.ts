import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { createHmacSha256 } from "./hmac.ts";

const hex = (text: string) => Uint8Array.from(Buffer.from(text, "hex"));

describe("HMAC-SHA256", () => {
  test("[CL1] sums are those of RFC 4231, in base64url", () => {
    const sumOf = (key: Uint8Array, text: string) =>
      Buffer.from(createHmacSha256(key).sum(text), "base64url").toString("hex");
    // Its test cases 1, 2 and 6; the last key is longer than a block of the hash.
    expect(sumOf(hex("0b".repeat(20)), "Hi There")).toBe(
      "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
    );
    expect(sumOf(Buffer.from("Jefe"), "what do ya want for nothing?")).toBe(
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    );
    expect(
      sumOf(hex("aa".repeat(131)), "Test Using Larger Than Block-Size Key - Hash Key First"),
    ).toBe("60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
  });

  test("[CL1] a sum is one text's, in one spelling; whatever else is claimed is none", () => {
    const mac = createHmacSha256(new Uint8Array(32).fill(7));
    const sum = mac.sum("text");
    expect(mac.isSumOf(sum, "text")).toBe(true);
    expect(mac.isSumOf(sum, "texts")).toBe(false);
    expect(createHmacSha256(new Uint8Array(32).fill(8)).isSumOf(sum, "text")).toBe(false);
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc
            .tuple(fc.nat(sum.length - 1), fc.string({ maxLength: 2 }))
            .map(([at, other]) => sum.slice(0, at) + other + sum.slice(at + 1)),
        ),
        (claimed) => {
          fc.pre(claimed !== sum);
          expect(mac.isSumOf(claimed, "text")).toBe(false);
        },
      ),
    );
  });
});
