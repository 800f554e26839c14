/**
 * How many clients have come of late, counted in sketches of 16 KB however many they are; whoever comes often counts
 * once.
 *
 * They are hashed with a key of the coordinator's own. Client ids are hashes of what clients choose, and a sketch of
 * those could be filled by 4 096 well-chosen ones as if by billions. And of one address no more count than may be:
 * each client has one of so many marks of its address, and the number of marks is a bound.
 */

import type { ClientId } from "@tributary/protocol";

import type { KeyedHash } from "./keyed-hash.ts";
import type { Sketch } from "./sketch.ts";
import { createSketch } from "./sketch.ts";

export interface PopulationOptions {
  readonly hash: KeyedHash;
  /** Clients that one address counts for, at most. */
  readonly perAddress: number;
}

export interface Population {
  /**
   * Counts a client that has come.
   * @param address from where, as limits by address tell it apart
   * @param forMs it is remembered for at least so long, and for at most twice as long
   */
  saw(clientId: ClientId, address: string, nowMs: number, forMs: number): void;
  /** Distinct clients that are remembered. */
  estimate(): number;
}

/** What has come since the last change of generations, and that with what came before. */
interface Generations {
  young: Sketch;
  both: Sketch;
}

export function createPopulation({ hash, perAddress }: PopulationOptions): Population {
  const newGenerations = (): Generations => ({ young: createSketch(), both: createSketch() });
  const clients = newGenerations();
  const marks = newGenerations();
  let since: number | undefined;

  function add({ young, both }: Generations, hashed: readonly [number, number]): void {
    young.add(hashed);
    both.add(hashed);
  }

  function forgetOldest(generations: Generations): void {
    const both = createSketch();
    both.addAll(generations.young);
    generations.both = both;
    generations.young = createSketch();
  }

  return {
    saw: (clientId, address, nowMs, forMs) => {
      since ??= nowMs;
      if (nowMs - since >= forMs) {
        forgetOldest(clients);
        forgetOldest(marks);
        since = nowMs;
      }
      const client = hash(wordsOfId(clientId));
      add(clients, client);
      add(marks, hash([client[1] % perAddress, ...wordsOfText(address)]));
    },
    estimate: () => Math.min(clients.both.estimate(), marks.both.estimate()),
  };
}

/** An id has 32 hexadecimal digits. */
const wordsOfId = (id: ClientId): readonly number[] =>
  [0, 8, 16, 24].map((at) => Number.parseInt(id.slice(at, at + 8), 16) | 0);

/** Texts that differ have words that differ: no letter of an address takes more than a byte. */
function wordsOfText(text: string): readonly number[] {
  const words = [text.length];
  for (let i = 0; i < text.length; i++) {
    const last = words.length - 1;
    if (i % 4 === 0) words.push(text.charCodeAt(i));
    else words[last] = ((words[last] ?? 0) << 8) | text.charCodeAt(i);
  }
  return words;
}
