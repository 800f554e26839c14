/** Targets: how a model comes in fewer bytes, as a delta of a former version or as a copy for serving. */

import { Buffer } from "node:buffer";

import {
  createLayout,
  decodeServingCopy,
  diffCheckpoints,
  encodeCheckpoint,
  encodeServingCopy,
  patchCheckpoint,
  SERVING_ENCODINGS,
  servingCopyBytes,
} from "@tributary/protocol";
import type { Piecewise } from "@tributary/protocol";

import { patched } from "../../client-sdk/src/patched-checkpoint.ts";
import { damagedBytes } from "./damage.ts";
import type { FuzzTarget } from "./target.ts";
import { accept, acceptAsync, hold, target } from "./target.ts";

const PARAMETERS = 7;

function whole(work: Piecewise): Uint8Array<ArrayBuffer> {
  work.run(0, work.length);
  return work.bytes;
}

const isSame = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

export async function checkpointTargets(): Promise<FuzzTarget[]> {
  const layout = await createLayout([
    { name: "kernel", shape: [3, 2] },
    { name: "bias", shape: [1] },
  ]);
  const other = await createLayout([{ name: "kernel", shape: [PARAMETERS] }]);
  const weights = Float32Array.from({ length: PARAMETERS }, (_, i) => Math.sin(i));
  const frame = (modelVersion: number, values: Float32Array) =>
    encodeCheckpoint(layout, { modelVersion, weights: values });
  const frames = [
    frame(1, weights),
    frame(
      2,
      weights.map((value) => value * 1.01),
    ),
    frame(0xffffffff, new Float32Array(PARAMETERS).fill(-1e30)),
  ];
  const [base = frame(0, weights)] = frames;
  const short = new Uint8Array(64);
  const deltas = [
    ...frames.map((to) => whole(diffCheckpoints(base, to))),
    whole(diffCheckpoints(frames[2]!, base)),
    whole(diffCheckpoints(short, short)),
  ];
  const copies = SERVING_ENCODINGS.flatMap((encoding) =>
    [weights, weights.map(() => 0), weights.with(2, 3e38)].flatMap((values) =>
      [layout, other].map((of) =>
        whole(encodeServingCopy(of, { modelVersion: 5, weights: values }, encoding)),
      ),
    ),
  );

  /** Deltas are not believed, so there is none that is wrong: what it makes is what it says, word for word. */
  const holdPatch = (delta: Uint8Array, made: Uint8Array) => {
    hold(made.length === base.length, "as long as the base");
    hold(isSame(whole(diffCheckpoints(base, made)), delta), "the delta of what it makes");
    const words = base.length / 4;
    for (let i = 0; i < words; i++) {
      const folded = [0, 1, 2, 3].reduce((sum, k) => sum * 256 + delta[16 + k * words + i]!, 0);
      const difference = folded % 2 === 0 ? folded / 2 : -(folded + 1) / 2;
      const from = Buffer.from(base).readInt32LE(4 * i);
      hold(Buffer.from(made).readInt32LE(4 * i) === ((from + difference) | 0), `word ${i}`);
    }
  };

  return [
    target(
      "checkpoint delta",
      damagedBytes([...deltas, ...deltas, ...frames]),
      (bytes) => {
        const read = accept(() => whole(patchCheckpoint(base, bytes)));
        if (read === undefined) return false;
        hold(Buffer.from(bytes).toString("latin1", 0, 8) === "TRCD\u0001\0\0\0", "its header");
        holdPatch(bytes, read.value);
        return true;
      },
      { share: 3 },
    ),
    target(
      "answer to who has a version",
      damagedBytes([...deltas, ...frames]),
      async (bytes) => {
        const read = await acceptAsync(() => patched(base, bytes));
        if (read === undefined) return false;
        if (Buffer.from(bytes).toString("latin1", 0, 4) === "TRCD") holdPatch(bytes, read.value);
        else hold(read.value === bytes, "what is no delta is for the digest to judge");
        return true;
      },
      { share: 1 },
    ),
    target(
      "copy for serving",
      damagedBytes([...copies, ...copies, ...frames]),
      (bytes) => {
        const read = accept(() => {
          const { weights: work, ...facts } = decodeServingCopy(layout, bytes);
          return { ...facts, made: whole(work) };
        });
        if (read === undefined) return false;
        const { encoding, modelVersion, made } = read.value;
        const copy = Buffer.from(bytes);
        hold(copy.length === servingCopyBytes(encoding, PARAMETERS), "its length");
        hold(copy.toString("hex", 16, 48) === layout.digest, "layout digest");
        hold(modelVersion === copy.readUInt32LE(12), "version");
        const values = new Float32Array(made.buffer, made.byteOffset, PARAMETERS);
        for (const [i, value] of values.entries()) {
          hold(Number.isFinite(value), "finite weights");
          const expected =
            encoding === "int8"
              ? Math.fround(copy.readFloatLE(64) * copy.readInt8(68 + i))
              : upperHalf(copy.readUInt16LE(64 + 2 * i));
          hold(value === expected, `weight ${i}`);
        }
        return true;
      },
      { share: 3 },
    ),
  ];
}

function upperHalf(half: number): number {
  const word = Buffer.alloc(4);
  word.writeUInt16LE(half, 2);
  return word.readFloatLE(0);
}
