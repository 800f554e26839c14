import type { MonitoringEvent, TaskId } from "@tributary/protocol";
import fc from "fast-check";
import { describe, expect, it } from "vitest";

import type { DomainEvent } from "../ports.ts";
import { createEventBus } from "./bus.ts";

const taskId = "t" as TaskId;
const event: DomainEvent = { type: "task:created", taskId, data: { state: "running" } };

function busWith(options: { remember?: number; firstId?: number } = {}) {
  const thrown: unknown[] = [];
  const bus = createEventBus({
    now: () => 1_000,
    firstId: options.firstId ?? 1,
    remember: options.remember ?? 100,
    onListenerError: (error) => thrown.push(error),
  });
  return { bus, thrown };
}

function listen(bus: ReturnType<typeof busWith>["bus"], afterId?: string) {
  const ids: string[] = [];
  const subscription = bus.subscribe(
    ({ id }: MonitoringEvent) => void ids.push(id),
    afterId === undefined ? {} : { afterId },
  );
  return { ids, ...subscription };
}

describe("event bus", () => {
  it("[MO1] stamps events with increasing ids from the first on, and with the instant", () => {
    const { bus } = busWith({ firstId: 7 });
    const seen: MonitoringEvent[] = [];
    bus.subscribe((one) => void seen.push(one));
    bus.emit(event);
    bus.emit(event);
    expect(seen.map(({ id }) => id)).toEqual(["7", "8"]);
    expect(seen[0]).toEqual({ ...event, id: "7", at: "1970-01-01T00:00:01.000Z" });
  });

  it("[MO2] a reader who comes back gets what it missed, once, then what is new", () => {
    const { bus } = busWith();
    for (let i = 0; i < 5; i++) bus.emit(event);
    const back = listen(bus, "2");
    expect(back).toMatchObject({ complete: true, ids: ["3", "4", "5"] });
    bus.emit(event);
    expect(back.ids).toEqual(["3", "4", "5", "6"]);
    back.unsubscribe();
    bus.emit(event);
    expect(back.ids).toHaveLength(4);
  });

  it("[MO2] a reader without an id gets only what is new", () => {
    const { bus } = busWith();
    bus.emit(event);
    const fresh = listen(bus);
    bus.emit(event);
    expect(fresh).toMatchObject({ complete: true, ids: ["2"] });
  });

  it("[MO3] says so when events after the reader's id are forgotten, or the id is unknown", () => {
    const { bus } = busWith({ remember: 3, firstId: 100 });
    expect(listen(bus, "99").complete).toBe(true);
    expect(listen(bus, "98").complete).toBe(false); // an id of an earlier run
    for (let i = 0; i < 5; i++) bus.emit(event); // 100 to 104, of which 102 to 104 are kept
    expect(listen(bus, "101")).toMatchObject({ complete: true, ids: ["102", "103", "104"] });
    expect(listen(bus, "100")).toMatchObject({ complete: false, ids: ["102", "103", "104"] });
    expect(listen(bus, "104")).toMatchObject({ complete: true, ids: [] });
    for (const foreign of ["105", "x", "", "-1", "1e2"]) {
      expect(listen(bus, foreign).complete, foreign).toBe(false);
    }
  });

  it("[MO3] an id from the future does not hold back what comes next", () => {
    const { bus } = busWith();
    const ahead = listen(bus, "900");
    bus.emit(event);
    expect(ahead.ids).toEqual(["1"]);
  });

  it("[MO4] a listener that throws disturbs neither the emitter nor the others", () => {
    const { bus, thrown } = busWith();
    bus.subscribe(() => {
      throw new Error("mine");
    });
    const other = listen(bus);
    bus.emit(event);
    expect(other.ids).toEqual(["1"]);
    expect(thrown).toEqual([new Error("mine")]);
  });

  it("[MO4] listeners that emit, subscribe or leave while being called keep everybody's order", () => {
    const { bus } = busWith();
    let late: ReturnType<typeof listen> | undefined;
    const first = bus.subscribe(({ id }) => {
      if (id !== "1") return;
      bus.emit(event);
      late = listen(bus, "0");
      first.unsubscribe();
    });
    const second = listen(bus);
    bus.emit(event);
    expect(second.ids).toEqual(["1", "2"]);
    expect(late?.ids).toEqual(["1", "2"]);
  });

  it("[MO2] whatever is remembered, what a reader gets is the end of all events, without a gap", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 8 }),
        fc.integer({ min: 0, max: 20 }),
        fc.integer({ min: 0, max: 20 }),
        fc.integer({ min: 0, max: 5 }),
        (remember, before, after, more) => {
          const { bus } = busWith({ remember });
          for (let i = 0; i < before; i++) bus.emit(event);
          const reader = listen(bus, String(Math.min(after, before)));
          for (let i = 0; i < more; i++) bus.emit(event);
          const missed = before - Math.min(after, before);
          const kept = Math.min(missed, remember);
          expect(reader.complete).toBe(missed <= remember);
          const expected = Array.from({ length: kept + more }, (_, i) =>
            String(before - kept + i + 1),
          );
          expect(reader.ids).toEqual(expected);
        },
      ),
    );
  });
});
