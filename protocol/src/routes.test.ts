import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { routes } from "./index.ts";

describe("routes", () => {
  it("[PR18] fill in every parameter, escaped, so that it comes out as one segment", () => {
    fc.assert(
      fc.property(
        fc.string({ minLength: 1, unit: "grapheme" }),
        fc.nat(),
        (taskId, modelVersion) => {
          const path = routes.checkpoint.path({ taskId, modelVersion });
          const segments = path.split("/");
          expect(segments).toHaveLength(6);
          expect(decodeURIComponent(segments[3]!)).toBe(taskId);
          expect(segments[5]).toBe(String(modelVersion));
        },
      ),
    );
    expect(routes.update.path({ roundId: "digits.7" })).toBe("/v1/rounds/digits.7/update");
    expect(routes.task.path({ taskId: "../x?y" })).toBe("/v1/tasks/..%2Fx%3Fy");
  });

  it("[PR18] every pattern is one of its own, and a path leaves no parameter open", () => {
    const patterns = Object.values(routes).map(({ pattern }) => pattern);
    expect(new Set(patterns).size).toBe(patterns.length);
    const everything = {
      taskId: "t",
      roundId: "t.1",
      modelVersion: 1,
      digest: "d",
      base: "b",
      tokenId: "e",
    };
    for (const { path } of Object.values(routes)) {
      const filled = (path as (params: object) => string)(everything);
      expect(filled).not.toContain(":");
      expect(filled).not.toContain("undefined");
    }
  });
});
