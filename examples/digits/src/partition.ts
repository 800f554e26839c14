/** How the training images are dealt to clients: IID, label shards, Dirichlet, by writer. */

import { NUM_CLASSES } from "./data.ts";
import type { SeededRandom } from "./random.ts";

/** Indices of each client's images. Every image goes to at most one client. */
export type Partition = readonly Uint32Array[];

export type PartitionSpec =
  | { readonly kind: "iid" }
  | { readonly kind: "shards"; readonly shardsPerClient: number }
  | { readonly kind: "dirichlet"; readonly alpha: number };

/** @throws RangeError when some client would have no image, or a parameter makes no sense */
export function partitionImages(
  labels: Uint8Array,
  clients: number,
  spec: PartitionSpec,
  random: SeededRandom,
): Partition {
  if (!Number.isInteger(clients) || clients < 1 || clients > labels.length) {
    throw new RangeError(`cannot deal ${labels.length} images to ${clients} clients`);
  }
  switch (spec.kind) {
    case "iid":
      return dealEvenly(random.shuffle(indicesOf(labels)), clients);
    case "shards":
      return dealShards(labels, clients, spec.shardsPerClient, random);
    case "dirichlet":
      return dealDirichlet(labels, clients, spec.alpha, random);
  }
}

/**
 * McMahan et al. 2017, section 3: sort by label, cut into equal shards, deal each client
 * `shardsPerClient` of them at random. With 2 of 300 images, most clients see two digits only.
 */
function dealShards(
  labels: Uint8Array,
  clients: number,
  shardsPerClient: number,
  random: SeededRandom,
): Partition {
  const shards = clients * shardsPerClient;
  if (!Number.isInteger(shardsPerClient) || shardsPerClient < 1 || shards > labels.length) {
    throw new RangeError(
      `cannot cut ${labels.length} images into ${clients} x ${shardsPerClient} shards`,
    );
  }
  // Shuffled first, then sorted stably: which images of a digit share a shard is random.
  const shuffled = random.shuffle(indicesOf(labels));
  const byLabel = Array.from({ length: NUM_CLASSES }, (_, digit) =>
    shuffled.filter((index) => labels[index] === digit),
  );
  const sorted = Uint32Array.from(byLabel.flatMap((indices) => [...indices]));
  const cut = dealEvenly(sorted, shards);
  const order = random.shuffle(Array.from({ length: shards }, (_, i) => i));
  return Array.from({ length: clients }, (_, client) =>
    concat(
      order
        .slice(client * shardsPerClient, (client + 1) * shardsPerClient)
        .map((shard) => cut[shard] as Uint32Array),
    ),
  );
}

/**
 * Hsu et al. 2019: the images of each digit are split over clients in proportions drawn from a
 * symmetric Dirichlet(alpha). Small alpha: few clients hold most of a digit. Sizes differ, too; a
 * client that drew nothing takes one image from the largest.
 */
function dealDirichlet(
  labels: Uint8Array,
  clients: number,
  alpha: number,
  random: SeededRandom,
): Partition {
  if (!(alpha > 0) || !Number.isFinite(alpha)) {
    throw new RangeError(`alpha of a Dirichlet distribution must be above 0, got ${alpha}`);
  }
  const dealt = Array.from({ length: clients }, (): number[] => []);
  const shuffled = random.shuffle(indicesOf(labels));
  for (let digit = 0; digit < NUM_CLASSES; digit++) {
    const indices = shuffled.filter((index) => labels[index] === digit);
    const draws = Array.from({ length: clients }, () => random.gamma(alpha));
    const total = draws.reduce((sum, draw) => sum + draw, 0);
    let upTo = 0;
    let from = 0;
    draws.forEach((draw, client) => {
      upTo += draw;
      const to =
        client === clients - 1 ? indices.length : Math.round((upTo / total) * indices.length);
      for (const index of indices.subarray(from, to)) dealt[client]?.push(index);
      from = to;
    });
  }
  for (const empty of dealt.filter((indices) => indices.length === 0)) {
    const largest = dealt.reduce((most, indices) =>
      indices.length > most.length ? indices : most,
    );
    empty.push(largest.pop() as number);
  }
  return dealt.map((indices) => Uint32Array.from(indices));
}

/** One client for each writer, in order of first appearance. */
export function partitionByWriter(writers: Uint16Array): Partition {
  const byWriter = new Map<number, number[]>();
  writers.forEach((writer, index) => {
    const indices = byWriter.get(writer);
    if (indices === undefined) byWriter.set(writer, [index]);
    else indices.push(index);
  });
  return [...byWriter.values()].map((indices) => Uint32Array.from(indices));
}

const indicesOf = (labels: Uint8Array) => Uint32Array.from(labels.keys());

/** Consecutive pieces whose sizes differ by at most one. */
function dealEvenly(indices: Uint32Array, pieces: number): Uint32Array[] {
  return Array.from({ length: pieces }, (_, i) =>
    indices.slice(
      Math.floor((i * indices.length) / pieces),
      Math.floor(((i + 1) * indices.length) / pieces),
    ),
  );
}

function concat(parts: readonly Uint32Array[]): Uint32Array {
  const joined = new Uint32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
