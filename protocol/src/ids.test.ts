import fc from "fast-check";
import { describe, expect, it } from "vitest";

import {
  isClientId,
  isDigest,
  isRoundId,
  isTaskId,
  parseClientId,
  parseDigest,
  parseRoundId,
  parseTaskId,
  roundIdOf,
} from "./index.ts";

const anyTaskId = fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,62}$/);

describe("ids", () => {
  it("[PR19] a round's id holds its task and number, and gives them back", () => {
    fc.assert(
      fc.property(anyTaskId, fc.integer({ min: 1, max: 1e14 }), (name, roundNumber) => {
        const taskId = parseTaskId(name);
        const roundId = roundIdOf(taskId, roundNumber);
        expect(isRoundId(roundId)).toBe(true);
        expect(parseRoundId(roundId)).toEqual({ taskId, roundNumber });
      }),
    );
  });

  it("[PR19] nothing but an id is one: no path, no case, no line break, no other type", () => {
    const foreign = [
      "",
      "A",
      "-a",
      "a/b",
      "..",
      "a\n",
      "a b",
      "a".repeat(64),
      "ä",
      7,
      null,
      {},
      ["a"],
    ];
    for (const value of foreign) {
      expect(isTaskId(value), JSON.stringify(value)).toBe(false);
      expect(() => parseTaskId(value)).toThrow(/task id must match/);
    }
    for (const value of ["t", "t.", "t.0", "t.01", "t.-1", "t.1e3", "t.1\n", ".1", "t.1.1", 1]) {
      expect(isRoundId(value), JSON.stringify(value)).toBe(false);
      expect(() => parseRoundId(value)).toThrow(/round id must match/);
    }
    for (const value of ["", "a b", "a".repeat(65), "a\n", "ä", 1]) {
      expect(isClientId(value), JSON.stringify(value)).toBe(false);
      expect(() => parseClientId(value)).toThrow(/client id must match/);
    }
    for (const value of ["0".repeat(63), "0".repeat(65), "A".repeat(64), "g".repeat(64), 0]) {
      expect(isDigest(value), JSON.stringify(value)).toBe(false);
      expect(() => parseDigest(value)).toThrow(/digest must match/);
    }
    expect(parseClientId("A_-9")).toBe("A_-9");
    expect(parseDigest("0".repeat(64))).toHaveLength(64);
  });

  it("[PR19] a refusal shows only the beginning of what was sent", () => {
    try {
      parseTaskId("X".repeat(100_000));
      expect.unreachable();
    } catch (error) {
      expect((error as Error).message.length).toBeLessThan(200);
    }
  });
});
