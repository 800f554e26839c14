import { expect, test } from "vitest";

import { createEmitter } from "./emitter.ts";

interface Events {
  count: number;
  word: string;
}

test("[SDK1] a listener that throws reaches neither the emitter nor the other listeners", async () => {
  const faults: unknown[] = [];
  const emitter = createEmitter<Events>((error) => faults.push(error));
  const heard: number[] = [];
  emitter.on("count", () => {
    throw new Error("sync");
  });
  const rejected = (): unknown => Promise.reject(new Error("async"));
  emitter.on("count", rejected);
  emitter.on("count", (value) => heard.push(value));
  emitter.emit("count", 7);
  await Promise.resolve();
  expect(heard).toEqual([7]);
  expect(faults.map(String)).toEqual(["Error: sync", "Error: async"]);
});

test("[SDK1] whoever is told of faults may throw as well", () => {
  const emitter = createEmitter<Events>(() => {
    throw new Error("again");
  });
  emitter.on("count", () => {
    throw new Error("first");
  });
  expect(() => emitter.emit("count", 1)).not.toThrow();
});

test("[SDK2] unsubscribing removes one registration, also while the event is told", () => {
  const emitter = createEmitter<Events>(() => undefined);
  const heard: string[] = [];
  const listener = (word: string) => heard.push(word);
  const first = emitter.on("word", listener);
  emitter.on("word", listener);
  first();
  first();
  emitter.emit("word", "once");
  expect(heard).toEqual(["once"]);
  expect(emitter.listenerCount()).toBe(1);
  const own = emitter.on("count", () => own());
  emitter.on("count", (value) => heard.push(String(value)));
  emitter.emit("count", 2);
  expect(heard).toEqual(["once", "2"]);
  expect(emitter.listenerCount("count")).toBe(1);
  emitter.clear();
  expect(emitter.listenerCount()).toBe(0);
});
