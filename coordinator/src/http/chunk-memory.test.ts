import { Buffer } from "node:buffer";

import { describe, expect, it } from "vitest";

import { giveBack } from "./chunk-memory.ts";

describe("the memory of a chunk", () => {
  it("[IG7] is free once the chunk was given back, on every version of Node", () => {
    const chunk = Buffer.allocUnsafeSlow(65_536);
    const { buffer } = chunk;
    giveBack(chunk);
    expect(chunk.length).toBe(0);
    expect(buffer.byteLength).toBe(0);
  });

  it("[IG7] is left alone where others have a part of it", () => {
    const whole = new Uint8Array(64).fill(7);
    giveBack(whole.subarray(0, 63));
    giveBack(whole.subarray(1));
    expect(whole.length).toBe(64);
    const shared = new Uint8Array(new SharedArrayBuffer(8));
    giveBack(shared);
    expect(shared.length).toBe(8);
  });
});
