import { expect, test } from "vitest";

import { joinImages, loadMnist, loadTrainWriters, parseIdx, selectExamples } from "./data.ts";

const idx = (shape: number[], values: number[]) => {
  const bytes = new Uint8Array(4 + 4 * shape.length + values.length);
  bytes.set([0, 0, 8, shape.length]);
  shape.forEach((dimension, i) => new DataView(bytes.buffer).setUint32(4 + 4 * i, dimension));
  bytes.set(values, 4 + 4 * shape.length);
  return bytes;
};

test("[EX1] an IDX file is read with its shape, and a damaged one is refused with the reason", () => {
  expect(parseIdx(idx([2, 3], [1, 2, 3, 4, 5, 6]))).toEqual({
    shape: [2, 3],
    values: Uint8Array.of(1, 2, 3, 4, 5, 6),
  });
  expect(() => parseIdx(idx([2, 3], [1, 2, 3]))).toThrow("needs 18 bytes, the file has 15");
  expect(() => parseIdx(idx([1], [1, 2]))).toThrow("needs 9 bytes, the file has 10");
  expect(() => parseIdx(Uint8Array.of(0, 0, 13, 1, 0, 0, 0, 0))).toThrow("type 0xd");
  expect(() => parseIdx(Uint8Array.of(31, 139, 8, 1))).toThrow("not an IDX file");
  expect(() => parseIdx(Uint8Array.of(0, 0, 8, 3, 0))).toThrow("3 dimensions does not fit 5 bytes");
});

test("[EX1] images and labels that do not belong together are refused", () => {
  const image = parseIdx(idx([1, 28, 28], Array<number>(784).fill(7)));
  expect(joinImages(image, parseIdx(idx([1], [9]))).labels).toEqual(Uint8Array.of(9));
  expect(() => joinImages(image, parseIdx(idx([2], [9, 1])))).toThrow("1 images, but labels of 2");
  expect(() => joinImages(image, parseIdx(idx([1], [10])))).toThrow("digit from 0 to 9");
  expect(() => joinImages(parseIdx(idx([1, 2, 2], [0, 0, 0, 0])), parseIdx(idx([1], [1])))).toThrow(
    "images of 1 x 2 x 2",
  );
});

test("[EX2] the original 60 000 + 10 000 images come from npm, verified by SHA-256", async () => {
  const { train, test: held } = await loadMnist();
  expect([train.count, held.count]).toEqual([60_000, 10_000]);
  expect([...train.labels.subarray(0, 5)]).toEqual([5, 0, 4, 1, 9]);
  const { pixels, labels } = selectExamples(held, [1, 0]);
  expect([...labels]).toEqual([2, 7]);
  expect(pixels).toEqual(
    Uint8Array.of(...held.pixels.subarray(784, 1568), ...held.pixels.subarray(0, 784)),
  );
  await expect(loadMnist("/nowhere")).rejects.toThrow("ENOENT");
});

test("[EX2] without the writers' file there are no writers", async () => {
  expect(await loadTrainWriters("/nowhere")).toBeUndefined();
});
