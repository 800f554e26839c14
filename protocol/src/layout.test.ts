import { createHash } from "node:crypto";

import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { createLayout, MAX_PARAMETERS, tensorView } from "./index.ts";

const anySpecs = fc.uniqueArray(
  fc.record({
    name: fc.string({ minLength: 1, maxLength: 8 }),
    shape: fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 4 }),
  }),
  { minLength: 1, maxLength: 6, selector: ({ name }) => name },
);

describe("layout", () => {
  it("[PR9] lays tensors one after the other, without gap or overlap", async () => {
    await fc.assert(
      fc.asyncProperty(anySpecs, async (specs) => {
        const layout = await createLayout(specs);
        let next = 0;
        for (const [i, tensor] of layout.tensors.entries()) {
          expect(tensor).toMatchObject({ name: specs[i]!.name, shape: specs[i]!.shape });
          expect(tensor.offset).toBe(next);
          expect(tensor.size).toBe(specs[i]!.shape.reduce((size, n) => size * n, 1));
          next += tensor.size;
        }
        expect(layout.parameterCount).toBe(next);
      }),
    );
  });

  it("[PR9] has equal digests exactly for equal names and shapes in equal order", async () => {
    await fc.assert(
      fc.asyncProperty(anySpecs, anySpecs, async (a, b) => {
        const same = JSON.stringify(a) === JSON.stringify(b);
        const [one, other] = [await createLayout(a), await createLayout(b)];
        expect(one.digest === other.digest).toBe(same);
        expect((await createLayout(structuredClone(a))).digest).toBe(one.digest);
      }),
    );
    const [x, y] = [
      { name: "x", shape: [2] },
      { name: "y", shape: [2] },
    ];
    expect((await createLayout([x, y])).digest).not.toBe((await createLayout([y, x])).digest);
  });

  it("[PR9] its digest is SHA-256 of names and shapes as JSON, so that any language can make it", async () => {
    const { digest } = await createLayout([
      { name: "w", shape: [2, 3] },
      { name: "b", shape: [] },
    ]);
    expect(digest).toBe(createHash("sha256").update('[["w",[2,3]],["b",[]]]').digest("hex"));
  });

  it("[PR9] a view of a tensor is that part of the vector, not a copy", async () => {
    const layout = await createLayout([
      { name: "a", shape: [2] },
      { name: "b", shape: [3] },
    ]);
    const vector = new Float32Array([1, 2, 3, 4, 5]);
    const view = tensorView(vector, layout.tensors[1]!);
    expect([...view]).toEqual([3, 4, 5]);
    view[0] = 9;
    expect(vector[2]).toBe(9);
  });

  it.each([
    ["no tensors", []],
    ["an empty name", [{ name: "", shape: [1] }]],
    [
      "a name twice",
      [
        { name: "w", shape: [1] },
        { name: "w", shape: [2] },
      ],
    ],
    ["dimension 0", [{ name: "w", shape: [2, 0] }]],
    ["a negative dimension", [{ name: "w", shape: [-2] }]],
    ["a broken dimension", [{ name: "w", shape: [1.5] }]],
    ["NaN", [{ name: "w", shape: [Number.NaN] }]],
    ["too much", [{ name: "w", shape: [MAX_PARAMETERS, 2] }]],
    [
      "too much in sum",
      [
        { name: "v", shape: [MAX_PARAMETERS] },
        { name: "w", shape: [1] },
      ],
    ],
    ["a product beyond all numbers", [{ name: "w", shape: Array<number>(30).fill(2 ** 40) }]],
  ])("[PR10] refuses a model of %s", async (_, specs) => {
    await expect(createLayout(specs)).rejects.toMatchObject({ code: "MALFORMED_MESSAGE" });
  });
});
