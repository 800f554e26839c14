import { describe, expect, it } from "vitest";

import { createLogger } from "./logger.ts";

function capture(options: Partial<Parameters<typeof createLogger>[0]> = {}) {
  const lines: string[] = [];
  const logger = createLogger({
    level: "debug",
    ...options,
    destination: { write: (line) => lines.push(line) },
  });
  return { logger, lines, first: () => JSON.parse(lines[0]!) as Record<string, unknown> };
}

describe("logger", () => {
  it("[MO10] writes one JSON line with level, instant, message and fields", () => {
    const { logger, lines, first } = capture();
    logger.info({ taskId: "t", roundNumber: 3 }, "round committed");
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/\}\n$/);
    expect(first()).toMatchObject({
      level: "info",
      msg: "round committed",
      taskId: "t",
      roundNumber: 3,
    });
    expect(Date.parse(String(first().time))).not.toBeNaN();
  });

  it("[MO10] keeps below its level silent", () => {
    const { logger, lines } = capture({ level: "warn" });
    logger.debug({}, "a");
    logger.info({}, "b");
    logger.warn({}, "c");
    logger.error({}, "d");
    expect(lines).toHaveLength(2);
  });

  it("[MO11] conceals tokens and keys wherever they hide", () => {
    const { logger, lines } = capture();
    const secret = "s3cr3t";
    logger.info(
      {
        token: secret,
        headers: { Authorization: secret },
        deep: [{ config: { auth: { adminToken: secret, clientKey: secret } } }],
        error: Object.assign(new Error("e", { cause: { token: secret } }), { token: secret }),
      },
      "m",
    );
    expect(lines[0]).not.toContain(secret);
    expect(lines[0]?.match(/\[concealed\]/g)).toHaveLength(6);
  });

  it("[AU18] conceals a token wherever it stands in a text, and leaves the rest of the text alone", () => {
    const { logger, first } = capture();
    const jwt = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEifQ.c2ln";
    const invitation = `trbe_${"s".repeat(43)}`;
    const error = new Error(`got "Bearer shared-token-0123" and ${invitation}`);
    logger.error({ note: `token ${jwt} was refused`, error }, "m");
    const line = JSON.stringify(first());
    for (const secret of [jwt, invitation, "shared-token-0123"]) expect(line).not.toContain(secret);
    expect(first().note).toBe("token [concealed] was refused");
    expect(line).toContain('got \\"Bearer [concealed]\\" and [concealed]');
  });

  it("[MO11] never writes the numbers of a tensor", () => {
    const { logger, first } = capture();
    const error = Object.assign(new Error("e"), { update: new Float32Array([0.123, 4]) });
    logger.error({ delta: new Float32Array(3), raw: new ArrayBuffer(9), error }, "m");
    expect(first()).toMatchObject({
      delta: "[Float32Array of 12 bytes]",
      raw: "[ArrayBuffer of 9 bytes]",
      error: { update: "[Float32Array of 8 bytes]" },
    });
  });

  it("[MO12] writes an error with its stack and causes, and survives what refers to itself", () => {
    const { logger, first } = capture();
    const error = new Error("outer", { cause: new RangeError("inner") });
    const loop: Record<string, unknown> = {};
    loop.self = loop;
    logger.error({ error, loop }, "m");
    expect(first()).toMatchObject({
      error: {
        name: "Error",
        message: "outer",
        stack: expect.stringContaining("logger.test"),
        cause: { name: "RangeError", message: "inner" },
      },
    });
  });

  it("[MO10] writes lines for people where asked to", () => {
    const { logger, lines } = capture({ pretty: true });
    logger.warn({ taskId: "t" }, "paused");
    logger.info({}, "plain");
    expect(lines[0]).toMatch(/^\d\d:\d\d:\d\d\.\d{3} warn {2}paused {2}taskId="t"\n$/);
    expect(lines[1]).toMatch(/^\d\d:\d\d:\d\d\.\d{3} info {2}plain\n$/);
  });
});
