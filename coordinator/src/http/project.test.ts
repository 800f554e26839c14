import { MonitoringEventSchema, TaskSpecSchema } from "@tributary/protocol/schema";
import Type from "typebox";
import { describe, expect, it } from "vitest";

import { CLIENT, createFakeHeart, roundResource, TASK } from "./app.fixture.ts";
import { createProjection } from "./project.ts";

describe("projection", () => {
  it("[API9] copies the named fields at every depth and nothing else", () => {
    const project = createProjection(
      Type.Object({
        a: Type.Number(),
        list: Type.Array(Type.Object({ b: Type.Optional(Type.String()) })),
        free: Type.Record(Type.String(), Type.Unknown()),
      }),
    );
    const value = { a: 1, x: 2, list: [{ b: "b", x: 3 }, { x: 4 }], free: { any: { x: 5 } } };
    expect(project(value)).toEqual({ a: 1, list: [{ b: "b" }, {}], free: { any: { x: 5 } } });
    expect(value.x).toBe(2);
  });

  it("[API9] takes the member of a union that the value is of", async () => {
    const project = createProjection(MonitoringEventSchema);
    const clean = { id: "1", at: "2026-01-01T00:00:00.000Z", taskId: TASK };
    const stamp = { ...clean, clientId: CLIENT };
    const state = { ...stamp, type: "task:stateChanged", data: { state: "paused", x: 1 } };
    expect(project(state)).toEqual({ ...clean, type: state.type, data: { state: "paused" } });
    const round = project({ ...stamp, type: "round:progress", data: roundResource });
    expect(JSON.stringify(round)).not.toContain(CLIENT);
    expect(round).toMatchObject({ data: { epsilon: 1.25, evaluation: { modelVersion: 2 } } });

    const { task } = await createFakeHeart();
    const spec = createProjection(TaskSpecSchema);
    expect(spec(task.spec)).toEqual(task.spec);
    const privacy = { mechanism: "central", noiseMultiplier: 1, delta: 1e-5, maxEpsilon: 3 };
    const secret = { ...task.spec, privacy, clippingNorm: 2 };
    expect(spec({ ...secret, x: 1 })).toEqual(secret);
  });
});
