/** The visitor's drawings as components see them. */

import { useSyncExternalStore } from "react";

import type { Drawing } from "./drawings-database.ts";
import {
  deleteAllDrawings,
  deleteDrawing,
  readDrawings,
  saveDrawing,
} from "./drawings-database.ts";

export type { Drawing } from "./drawings-database.ts";

export interface Drawings {
  readonly all: readonly Drawing[];
  subscribe(listener: () => void): () => void;
  add(drawing: Omit<Drawing, "id">): Promise<void>;
  remove(id: number): Promise<void>;
  clear(): Promise<void>;
}

/** Reads what is kept. Other tabs of the page are told of changes, and tell of theirs. */
export async function openDrawings(): Promise<Drawings> {
  const listeners = new Set<() => void>();
  const channel = new BroadcastChannel("digits-browser:drawings");
  let all = await readDrawings();

  const refresh = async () => {
    all = await readDrawings();
    for (const listener of [...listeners]) listener();
  };
  const change = async (work: Promise<unknown>) => {
    await work;
    await refresh();
    channel.postMessage("changed");
  };
  channel.onmessage = () => void refresh().catch(() => undefined);

  return {
    get all() {
      return all;
    },
    subscribe: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    add: (drawing) => change(saveDrawing(drawing)),
    remove: (id) => change(deleteDrawing(id)),
    clear: () => change(deleteAllDrawings()),
  };
}

export const useDrawings = (drawings: Drawings): readonly Drawing[] =>
  useSyncExternalStore(drawings.subscribe, () => drawings.all);
