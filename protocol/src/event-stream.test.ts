import fc from "fast-check";
import { expect, test } from "vitest";

import { createEventStreamParser } from "./event-stream.ts";

const encode = (text: string) => new TextEncoder().encode(text);

test("[DB1] messages are the same however their bytes are cut, up to the last empty line", () => {
  const bytes = encode(
    "\nretry: 2000\n\n: alive\nid: 7\n\nid: 8\r\nevent: größe\r\ndata: a\rdata:b\n\ndata: no end",
  );
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: bytes.length })), (cuts) => {
      const parser = createEventStreamParser();
      const ends = [0, ...cuts.sort((a, b) => a - b), bytes.length];
      const messages = ends.slice(1).flatMap((end, i) => parser.push(bytes.subarray(ends[i], end)));
      expect(messages).toEqual([
        {},
        {},
        { id: "7" },
        { id: "8", event: { type: "größe", data: "a\nb" } },
      ]);
    }),
  );
});

test("[DB1] an event without an end is refused before it fills the memory", () => {
  const parser = createEventStreamParser();
  const piece = encode(`data: ${"x".repeat(2 ** 18)}\n`);
  expect(() => {
    for (let i = 0; i < 5; i++) parser.push(piece);
  }).toThrow(expect.objectContaining({ code: "MALFORMED_MESSAGE" }));
});
