import { readFileSync } from "node:fs";

import { checksumOf, createChecksum } from "@tributary/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";

import { compileKernels } from "../../kernels.mjs";
import { absorbInPlace, openChecksumKernel } from "./checksum-kernel.ts";

function simd() {
  const kernel = openChecksumKernel();
  if (kernel === undefined) throw new Error("this engine has no SIMD");
  return kernel;
}

test("[IG1] SIMD gives the checksum of plain code, however the bytes are cut and whoever else is served", () => {
  const kernel = simd();
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 2000, size: "max" }),
      fc.array(fc.nat(2000), { maxLength: 8 }),
      (bytes, cuts) => {
        const edges = [0, ...cuts.sort((a, b) => a - b), bytes.length];
        const [one, other] = [createChecksum(kernel), createChecksum(kernel)];
        for (let i = 1; i < edges.length; i++) {
          const piece = bytes.subarray(edges[i - 1], Math.max(edges[i - 1]!, edges[i]!));
          one.update(piece);
          other.update(piece.toReversed());
          other.update(piece);
        }
        expect(one.digest()).toBe(checksumOf(bytes));
      },
    ),
  );
  // More than the kernel takes at once.
  const large = Uint8Array.from({ length: 300_001 }, (_, i) => (i * 31) % 253);
  const whole = createChecksum(kernel);
  whole.update(large);
  expect(whole.digest()).toBe(checksumOf(large));
});

test("[IG1] bytes in a memory that it knows are read where they lie, and nothing of it is changed but the state", () => {
  const kernel = simd();
  const memory = new WebAssembly.Memory({ initial: 5, maximum: 5 });
  const all = new Uint8Array(memory.buffer).map((_, i) => (i * 37) % 251);
  new Uint8Array(memory.buffer).set(all);
  absorbInPlace(memory, 512, WebAssembly);
  fc.assert(
    fc.property(
      fc.integer({ min: 65_536, max: 66_000 }),
      fc.array(fc.integer({ min: 0, max: 70_000 }), { minLength: 1, maxLength: 3 }),
      (from, lengths) => {
        const there = createChecksum(kernel);
        let at = from;
        for (const length of lengths) {
          // From elsewhere and from there in turns, as a frame's head and payload come.
          there.update(new Uint8Array(memory.buffer, at, length % 50).slice());
          there.update(new Uint8Array(memory.buffer, at + (length % 50), length - (length % 50)));
          at += length;
        }
        expect(there.digest()).toBe(checksumOf(all.slice(from, at)));
      },
    ),
  );
  const after = new Uint8Array(memory.buffer).slice();
  after.set(all.subarray(512, 768), 512);
  expect(after).toEqual(all);
});

test("[IG3] an engine without SIMD, or that may compile nothing, has no kernel of its own", () => {
  const refuses = function () {
    throw new Error("refused by a policy");
  } as never;
  expect(openChecksumKernel({})).toBeUndefined();
  expect(openChecksumKernel({ ...WebAssembly, validate: () => false })).toBeUndefined();
  const { Instance } = WebAssembly;
  expect(
    openChecksumKernel({ ...WebAssembly, validate: () => true, Module: refuses, Instance }),
  ).toBeUndefined();
  expect(openChecksumKernel({ ...WebAssembly, Memory: refuses })).toBeUndefined();
});

test("[IG3] the compiled kernel is what its source compiles to", async () => {
  const compiled = (await compileKernels("src/checksum/")).find(({ file }) =>
    file.endsWith("checksum-wasm.ts"),
  );
  expect(compiled).toBeDefined();
  expect(readFileSync(compiled!.file, "utf8"), "run npm run kernels").toBe(compiled!.text);
}, 60_000);
