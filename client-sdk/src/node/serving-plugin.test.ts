import { FederatedError } from "@tributary/protocol";
import fc from "fast-check";
import type { FastifyInstance } from "fastify";
import fastify from "fastify";
import { expect, test } from "vitest";

import type { ServedModel } from "../serving.ts";
import { servable, servingPlugin } from "./serving-plugin.ts";
import { readBatch, toNested } from "./tensor-json.ts";

/** A model of 2x2 images that gives the sum of each row of an image. */
function rowSums(state: "loaded" | "loading" = "loaded"): ServedModel<Float32Array, Float32Array> {
  return {
    version: state === "loaded" ? 3 : undefined,
    predict: async (values: Float32Array) => {
      if (state === "loading") throw new FederatedError("UNAVAILABLE", "not loaded yet");
      if (values[0] === 13) throw new Error(`bad luck with ${values.join(",")}`);
      return new Float32Array(values.length / 2).map((_, i) => values[2 * i]! + values[2 * i + 1]!);
    },
  } as ServedModel<Float32Array, Float32Array>;
}

function serve(model = rowSums()): FastifyInstance {
  const app = fastify();
  app.get("/elsewhere", () => {
    throw new Error("not the plugin's");
  });
  void app.register(servingPlugin, {
    models: { "row-sums": servable(model, { inputShape: [2, 2] }) },
    bodyLimit: 2_000,
  });
  return app;
}

async function post(app: FastifyInstance, path: string, body: unknown, headers = {}) {
  const payload = typeof body === "string" ? body : JSON.stringify(body);
  const response = await app.inject({
    method: "POST",
    url: path,
    payload,
    headers: { "content-type": "application/json", ...headers },
  });
  return { status: response.statusCode, body: response.json<Record<string, unknown>>() };
}

const get = async (app: FastifyInstance, url: string) => {
  const response = await app.inject({ method: "GET", url });
  return { status: response.statusCode, body: response.json<Record<string, unknown>>() };
};

const PREDICT = "/v1/models/row-sums:predict";
const INSTANCES = [
  [
    [1, 2],
    [3, 4],
  ],
  [
    [5, 6],
    [7, 8],
  ],
];

test("[SV20] instances give predictions, inputs give outputs, as TensorFlow Serving has it", async () => {
  const app = serve();
  expect(await post(app, PREDICT, { instances: INSTANCES })).toEqual({
    status: 200,
    body: {
      predictions: [
        [3, 7],
        [11, 15],
      ],
    },
  });
  expect(
    await post(app, PREDICT, { signature_name: "serving_default", inputs: INSTANCES }),
  ).toEqual({
    status: 200,
    body: {
      outputs: [
        [3, 7],
        [11, 15],
      ],
    },
  });
  const versioned = await post(app, "/v1/models/row-sums/versions/3:predict", {
    instances: INSTANCES,
  });
  expect(versioned.status).toBe(200);
  // As `curl -d` sends it.
  const form = { "content-type": "application/x-www-form-urlencoded" };
  expect((await post(app, PREDICT, { instances: INSTANCES }, form)).status).toBe(200);
});

test("[SV21] status and metadata of a model, newest or by version", async () => {
  const app = serve();
  const available = {
    model_version_status: [
      { version: "3", state: "AVAILABLE", status: { error_code: "OK", error_message: "" } },
    ],
  };
  expect(await get(app, "/v1/models/row-sums")).toEqual({ status: 200, body: available });
  expect(await get(app, "/v1/models/row-sums/versions/3")).toEqual({
    status: 200,
    body: available,
  });
  for (const path of ["/v1/models/row-sums/metadata", "/v1/models/row-sums/versions/3/metadata"]) {
    const { status, body } = await get(app, path);
    expect(status).toBe(200);
    expect(body).toMatchObject({
      model_spec: { name: "row-sums", signature_name: "", version: "3" },
      metadata: {
        signature_def: {
          signature_def: {
            serving_default: {
              inputs: {
                inputs: {
                  dtype: "DT_FLOAT",
                  tensor_shape: { dim: [{ size: "-1" }, { size: "2" }, { size: "2" }] },
                },
              },
            },
          },
        },
      },
    });
  }
});

test("[SV22] bad input is a 400 that names the fault", async () => {
  const app = serve();
  const cases: [unknown, RegExp][] = [
    ["", /JSON|body/],
    ["{", /JSON/],
    ["[]", /must be an object/],
    [{}, /either "instances" or "inputs"/],
    [{ instances: INSTANCES, inputs: INSTANCES }, /either/],
    [{ instances: [] }, /at least one instance, got an array of 0/],
    [{ instances: "text" }, /got a string/],
    [{ instances: [[[1, 2]]] }, /array of 2 at instances\[0\], got an array of 1/],
    [{ instances: [[1, 2, 3, 4]] }, /array of 2 at instances\[0\]/],
    [
      {
        instances: [
          [
            [1, 2],
            [3, "4"],
          ],
        ],
      },
      /number at instances\[0\]\[1\]\[1\], got a string/,
    ],
    [
      {
        instances: [
          [
            [1, 2],
            [3, null],
          ],
        ],
      },
      /got null/,
    ],
    [
      {
        instances: [
          [
            [1, 2],
            [3, [4]],
          ],
        ],
      },
      /got an array of 1/,
    ],
    [
      {
        instances: [
          [
            [1, 2],
            [3, { b64: "AA" }],
          ],
        ],
      },
      /got an object/,
    ],
    ['{"instances": [[[1, 2], [3, 1e39]]]}', /float32 number/],
  ];
  for (const [body, message] of cases) {
    const answer = await post(app, PREDICT, body);
    expect(answer.status, JSON.stringify(body)).toBe(400);
    expect(answer.body.error).toMatch(message);
  }
});

test("[SV22] whatever JSON comes, the answer is 200 or 400", async () => {
  const app = serve();
  await fc.assert(
    fc.asyncProperty(fc.jsonValue({ maxDepth: 5 }), async (instances) => {
      const { status, body } = await post(app, PREDICT, { instances });
      expect([200, 400]).toContain(status);
      expect(Object.keys(body)).toEqual([status === 200 ? "predictions" : "error"]);
    }),
    { numRuns: 200 },
  );
});

test("[SV23] unknown models, versions and verbs are 404, a model not loaded 503, too long a body 413", async () => {
  const app = serve();
  const body = { instances: INSTANCES };
  for (const path of [
    "/v1/models/other:predict",
    "/v1/models/constructor:predict",
    "/v1/models/row-sums:classify",
    "/v1/models/row-sums",
    "/v1/models/row-sums/versions/2:predict",
    "/v1/models/row-sums/versions/03:predict",
  ]) {
    const answer = await post(app, path, body);
    expect(answer.status, path).toBe(404);
    expect(answer.body.error).toBeTypeOf("string");
  }
  expect((await get(app, "/v1/models/other")).status).toBe(404);
  expect((await get(app, "/v1/models/row-sums/versions/9")).status).toBe(404);
  const long = await post(app, PREDICT, { instances: Array(200).fill(INSTANCES[0]) });
  expect([long.status, typeof long.body.error]).toEqual([413, "string"]);
  const loading = serve(rowSums("loading"));
  expect((await post(loading, PREDICT, body)).status).toBe(503);
  expect((await get(loading, "/v1/models/row-sums")).body).toMatchObject({
    model_version_status: [{ state: "LOADING" }],
  });
});

test("[SV24] a predictor that throws is a 500 that repeats nothing of the input", async () => {
  const app = serve();
  const answer = await post(app, PREDICT, {
    instances: [
      [
        [13, 77],
        [0, 0],
      ],
    ],
  });
  expect(answer.status).toBe(500);
  expect(JSON.stringify(answer.body)).not.toContain("77");
  // The rest of the app keeps its own errors.
  expect((await get(app, "/elsewhere")).body).toMatchObject({ message: "not the plugin's" });
});

test("[SV25] nested arrays and flat vectors are each other's inverse", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 4 }),
      fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 3 }),
      (count, instanceShape) => {
        const shape = [count, ...instanceShape];
        const values = Float32Array.from(
          { length: shape.reduce((a, b) => a * b, 1) },
          (_, i) => i / 3,
        );
        expect(readBatch(toNested(values, shape), instanceShape)).toEqual({ values, shape });
      },
    ),
  );
});
