/**
 * Served models over HTTP with the shape of TensorFlow Serving's REST API, as a fastify plugin, so that
 * what is written for TF Serving can ask: tensorflow.org/tfx/serving/api_rest.
 */

import { isFederatedError } from "@tributary/protocol";
import type { FastifyPluginAsync } from "fastify";

import type { ServedModel } from "../serving.ts";
import type { Batch } from "./tensor-json.ts";
import { InputFault, readBatch, toNested } from "./tensor-json.ts";

/** What the plugin needs of a model, whatever its predictor's types are. */
export interface Servable {
  readonly inputShape: readonly number[];
  readonly version: () => number | undefined;
  readonly predict: (batch: Batch) => Promise<unknown>;
}

export interface ServingPluginOptions {
  /** By the name they have in the URL; each made with `servable`. */
  readonly models: Readonly<Record<string, Servable>>;
  /** Largest request. Default 16 MiB. */
  readonly bodyLimit?: number;
}

interface ServableBase<Output> {
  /** Shape of one instance, `[784]`: what does not have it is refused with status 400. */
  readonly inputShape: readonly number[];
  /** What the predictor gave for `count` instances -> one prediction each, as JSON. */
  readonly toPredictions?: (output: Output, count: number) => readonly unknown[];
}

type ToInput<Input> = (batch: Batch) => Input;

/** `toInput` makes of a batch what the predictor takes: by default its flat values, where it takes those. */
export type ServableOptions<Input, Output> = ServableBase<Output> &
  (Float32Array extends Input
    ? { readonly toInput?: ToInput<Input> }
    : { readonly toInput: ToInput<Input> });

/** Adapts a served model for the plugin. */
export function servable<Input, Output>(
  model: ServedModel<Input, Output>,
  options: ServableOptions<Input, Output>,
): Servable {
  const { inputShape, toPredictions = rowsOf } = options;
  // Absent only where the type of the options says that the predictor takes flat values.
  const toInput = options.toInput ?? ((batch: Batch) => batch.values as Input);
  return {
    inputShape,
    version: () => model.version,
    predict: async (batch) => {
      const count = batch.shape[0] ?? 0;
      return toPredictions(await model.predict(toInput(batch)), count);
    },
  };
}

/** A flat typed array becomes a row per instance; what is JSON already stays as it is. */
function rowsOf(output: unknown, count: number): readonly unknown[] {
  if (output instanceof Float32Array || output instanceof Int32Array) {
    const width = output.length / count;
    return toNested(output, width === 1 ? [count] : [count, width]) as unknown[];
  }
  if (Array.isArray(output)) return output as unknown[];
  throw new TypeError("give `toPredictions`: the predictor's output is no array");
}

/** An answer other than 200, in TF Serving's words. */
class Refusal extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

interface Named {
  Params: { readonly name: string };
}
interface Versioned {
  Params: { readonly name: string; readonly version: string };
}

const DEFAULT_BODY_LIMIT = 16 * 1024 * 1024;

export const servingPlugin: FastifyPluginAsync<ServingPluginOptions> = async (
  app,
  { models, bodyLimit = DEFAULT_BODY_LIMIT },
) => {
  // TF Serving does not look at the content type, and `curl -d` does not send JSON's.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", { parseAs: "string" }, (_, body, done) => {
    try {
      done(null, JSON.parse(String(body)));
    } catch {
      done(new Refusal(400, "JSON Parse error: the body is not JSON"));
    }
  });
  app.setErrorHandler((error, request, reply) => {
    const [status, message] = describeError(error);
    if (status === 500) request.log.error({ error }, "a prediction failed");
    return reply.code(status).send({ error: message });
  });

  /** @param version as it stands in the URL; undefined asks for the newest */
  function find(name: string, version: string | undefined): Servable {
    const model = Object.hasOwn(models, name) ? models[name] : undefined;
    if (model === undefined) {
      throw new Refusal(404, `Could not find any versions of model ${name}`);
    }
    if (version !== undefined && String(model.version()) !== version) {
      throw new Refusal(404, `Servable not found for request: Specific(${name}, ${version})`);
    }
    return model;
  }

  async function predict(name: string, version: string | undefined, body: unknown) {
    const model = find(name, version);
    if (typeof body !== "object" || body === null || Array.isArray(body)) {
      throw new Refusal(400, 'the body must be an object with "instances" or "inputs"');
    }
    const columns = "inputs" in body;
    if (columns === "instances" in body) {
      throw new Refusal(400, 'the body must have either "instances" or "inputs"');
    }
    const instances = columns ? body.inputs : (body as { instances: unknown }).instances;
    const predictions = await model.predict(readBatch(instances, model.inputShape));
    return columns ? { outputs: predictions } : { predictions };
  }

  function status(name: string, version: string | undefined) {
    const serving = find(name, version).version();
    return {
      model_version_status: [
        {
          version: String(serving ?? 0),
          state: serving === undefined ? "LOADING" : "AVAILABLE",
          status: { error_code: "OK", error_message: "" },
        },
      ],
    };
  }

  function metadata(name: string, version: string | undefined) {
    const model = find(name, version);
    const dim = [-1, ...model.inputShape].map((size) => ({ size: String(size), name: "" }));
    const inputs = {
      inputs: { dtype: "DT_FLOAT", tensor_shape: { dim, unknown_rank: false }, name: "inputs" },
    };
    const signature = { inputs, outputs: {}, method_name: "tensorflow/serving/predict" };
    return {
      model_spec: { name, signature_name: "", version: String(model.version() ?? 0) },
      metadata: { signature_def: { signature_def: { serving_default: signature } } },
    };
  }

  /** `digits:predict` -> `digits`. */
  const target = (last: string) => {
    if (last.endsWith(":predict")) return last.slice(0, -":predict".length);
    throw new Refusal(404, `Malformed request: "${last}" has no verb; ":predict" is served`);
  };

  // The router cannot tell a parameter from a literal ":predict" after it, so the last part is ours.
  app.post<Named>("/v1/models/:name", { bodyLimit }, async ({ params, body }) =>
    predict(target(params.name), undefined, body),
  );
  app.post<Versioned>("/v1/models/:name/versions/:version", { bodyLimit }, async (request) => {
    const { name, version } = request.params;
    return predict(name, target(version), request.body);
  });
  app.get<Named>("/v1/models/:name", async ({ params }) => status(params.name, undefined));
  app.get<Versioned>("/v1/models/:name/versions/:version", async ({ params }) =>
    status(params.name, params.version),
  );
  app.get<Named>("/v1/models/:name/metadata", async ({ params }) =>
    metadata(params.name, undefined),
  );
  app.get<Versioned>("/v1/models/:name/versions/:version/metadata", async ({ params }) =>
    metadata(params.name, params.version),
  );
};

function describeError(error: unknown): [status: number, message: string] {
  if (error instanceof Refusal) return [error.status, error.message];
  if (error instanceof InputFault) return [400, error.message];
  if (isFederatedError(error) && (error.code === "UNAVAILABLE" || error.code === "ABORTED")) {
    return [503, error.message];
  }
  const known = error instanceof Error && "statusCode" in error ? error.statusCode : undefined;
  if (error instanceof Error && typeof known === "number" && known < 500) {
    return [known, error.message];
  }
  // What a predictor throws may quote its input.
  return [500, "the prediction failed; the server's log has the cause"];
}
