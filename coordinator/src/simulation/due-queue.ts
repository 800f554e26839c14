/** What is to come, soonest first; of what is due at the same time, what was put in first. */

export interface DueQueue<T> {
  /** Also what was called off and not yet forgotten. */
  readonly size: number;
  add(ms: number, item: T): Due<T>;
  /** The first one, which stays. */
  peek(): Due<T> | undefined;
  /** Takes the first one out. */
  take(): Due<T> | undefined;
}

export interface Due<T> {
  readonly ms: number;
  readonly item: T;
  /** Takes it out; after it was taken nothing happens. */
  callOff(): void;
}

interface Entry<T> extends Due<T> {
  readonly order: number;
  state: "waiting" | "taken" | "off";
}

/** Fewer than so many that were called off are not worth a sweep. */
const FEW = 1024;

export function createDueQueue<T>(): DueQueue<T> {
  /** A binary heap: the parent of i is at (i - 1) >> 1. */
  let heap: Entry<T>[] = [];
  let off = 0;
  let added = 0;

  const isBefore = (a: Entry<T>, b: Entry<T>): boolean =>
    a.ms < b.ms || (a.ms === b.ms && a.order < b.order);

  function rise(entry: Entry<T>): void {
    let at = heap.length;
    heap.push(entry);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent] as Entry<T>;
      if (!isBefore(entry, above)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = entry;
  }

  function sink(entry: Entry<T>): void {
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      const left = heap[child];
      if (left === undefined) break;
      const right = heap[child + 1];
      if (right !== undefined && isBefore(right, left)) child += 1;
      const below = heap[child] as Entry<T>;
      if (!isBefore(below, entry)) break;
      heap[at] = below;
      at = child;
    }
    heap[at] = entry;
  }

  function drop(): Entry<T> | undefined {
    const first = heap[0];
    const last = heap.pop();
    if (last !== undefined && last !== first) sink(last);
    return first;
  }

  function callOff(entry: Entry<T>): void {
    if (entry.state !== "waiting") return;
    entry.state = "off";
    off += 1;
    // Deadlines are set anew with every message: those that no longer count must not fill the memory.
    if (off < FEW || 2 * off < heap.length) return;
    // In order it is a heap, too.
    heap = heap
      .filter(({ state }) => state === "waiting")
      .sort((a, b) => (isBefore(a, b) ? -1 : 1));
    off = 0;
  }

  function peek(): Entry<T> | undefined {
    for (let first = heap[0]; first?.state === "off"; first = heap[0]) {
      drop();
      off -= 1;
    }
    return heap[0];
  }

  return {
    get size() {
      return heap.length;
    },
    add: (ms, item) => {
      const entry: Entry<T> = {
        ...{ ms, item, order: added++, state: "waiting" },
        callOff: () => callOff(entry),
      };
      rise(entry);
      return entry;
    },
    peek,
    take: () => {
      const first = peek();
      if (first === undefined) return undefined;
      drop();
      first.state = "taken";
      return first;
    },
  };
}
