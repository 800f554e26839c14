import { expect, test } from "vitest";

import { uploadBody } from "./upload-body.ts";

test("[WK12] a small body is its bytes, a large one a Blob of the same bytes", async () => {
  const small = new Uint8Array(2 ** 20).fill(3);
  expect(await uploadBody(small)).toBe(small);
  // A view into something larger, of no whole number of pieces.
  const large = new Uint8Array(3_500_007).map((_, i) => i % 251).subarray(5);
  const body = await uploadBody(large);
  expect(body).toBeInstanceOf(Blob);
  const sent = new Uint8Array(await (body as Blob).arrayBuffer());
  expect(Buffer.compare(sent, large)).toBe(0);
});
