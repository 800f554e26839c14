import fc from "fast-check";
import { describe, expect, it } from "vitest";

import {
  ERROR_CODES,
  ERROR_TABLE,
  FederatedError,
  fromErrorPayload,
  isErrorCode,
  isFederatedError,
  toFederatedError,
} from "./index.ts";

describe("errors", () => {
  it("[PR15] every code has an HTTP status of an error and says whether a retry may help", () => {
    expect(ERROR_CODES.length).toBeGreaterThan(20);
    for (const code of ERROR_CODES) {
      const error = new FederatedError(code, "m");
      expect(error.status).toBe(ERROR_TABLE[code].status);
      expect(error.status).toBeGreaterThanOrEqual(400);
      expect(error.status).toBeLessThan(600);
      expect(error.retryable).toBe(ERROR_TABLE[code].retryable);
      expect(isErrorCode(code)).toBe(true);
    }
    for (const foreign of ["", "toString", "__proto__", 3, null]) {
      expect(isErrorCode(foreign)).toBe(false);
    }
  });

  it("[PR16] an error arrives at the other end as it was, by ack or by problem", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...ERROR_CODES),
        fc.string(),
        fc.option(fc.nat(), { nil: undefined }),
        fc.option(fc.dictionary(fc.string(), fc.integer()), { nil: undefined }),
        (code, message, retryAfterMs, details) => {
          const error = new FederatedError(code, message, {
            ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
            ...(details === undefined ? {} : { details }),
          });
          for (const sent of [error.toPayload(), error.toProblem()]) {
            const received = fromErrorPayload(JSON.parse(JSON.stringify(sent)));
            expect(received.toPayload()).toEqual(JSON.parse(JSON.stringify(error.toPayload())));
          }
        },
      ),
    );
  });

  it("[PR16] a problem names its type, title and status (RFC 9457)", () => {
    expect(new FederatedError("ROUND_CLOSED", "too late").toProblem()).toEqual({
      type: "urn:tributary:error:ROUND_CLOSED",
      title: "round closed",
      status: 409,
      code: "ROUND_CLOSED",
      message: "too late",
      retryable: false,
    });
  });

  it("[PR16] whatever a peer sends as an error is one", () => {
    fc.assert(
      fc.property(fc.anything(), (value) => {
        const error = fromErrorPayload(value);
        expect(isFederatedError(error)).toBe(true);
        expect(isErrorCode(error.code)).toBe(true);
      }),
    );
    expect(fromErrorPayload({ code: "NEWER_CODE", message: "m" })).toMatchObject({
      code: "INTERNAL",
      message: "m",
    });
    expect(
      fromErrorPayload({ code: "UNAVAILABLE", retryAfterMs: -5 }).retryAfterMs,
    ).toBeUndefined();
  });

  it("[PR17] what is not ours becomes INTERNAL, its text only in `cause`", () => {
    const cause = new Error("password is 1234");
    const error = toFederatedError(cause);
    expect(error.code).toBe("INTERNAL");
    expect(error.cause).toBe(cause);
    expect(JSON.stringify(error.toProblem())).not.toContain("1234");
    const ours = new FederatedError("NOT_FOUND", "m");
    expect(toFederatedError(ours)).toBe(ours);
  });

  it("[PR17] is known by its brand, so that two copies of the package understand each other", () => {
    const foreignCopy = Object.assign(new Error("m"), { brand: "tributary.FederatedError" });
    expect(isFederatedError(foreignCopy)).toBe(true);
    for (const value of [new Error("m"), { brand: "tributary.FederatedError" }, null, "x"]) {
      expect(isFederatedError(value)).toBe(false);
    }
  });
});
