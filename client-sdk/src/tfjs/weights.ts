/** Between a TF.js layers model and the flat vector of the protocol: order, names, reading, writing. */

import { FederatedError, type Layout, type TensorSpec } from "@tributary/protocol";
import type { Tensor, Variable } from "@tensorflow/tfjs-core";
import type { LayersModel } from "@tensorflow/tfjs-layers";

import type { TensorFlow } from "./tensorflow.ts";

interface NamedVariable extends TensorSpec {
  readonly variable: Variable;
}

/**
 * Every variable of the model, trainable or not (the moving statistics of batch normalisation are part
 * of the model), in the order of its layers.
 *
 * TF.js numbers layers by a counter of the process, so its own names differ between two builds of one
 * architecture. Here a name is `<n>.<role>`: n counts the layers that have variables, from 0, and the
 * role is the last part of TF.js's name (`kernel`, `bias`, `moving_mean`, …). A role that comes twice
 * in a layer (bidirectional or nested ones) gets `_1`, `_2`, … after it.
 */
function variablesOf(model: LayersModel): NamedVariable[] {
  const named: NamedVariable[] = [];
  let position = 0;
  for (const layer of model.layers) {
    if (layer.weights.length === 0) continue;
    const seen = new Map<string, number>();
    for (const { originalName, dtype, ...weight } of layer.weights.map(describeVariable)) {
      if (dtype !== "float32") {
        throw invalidModel(`variable "${originalName}" is ${dtype}; only float32 can be averaged`);
      }
      const role = originalName.slice(originalName.lastIndexOf("/") + 1);
      const earlier = seen.get(role) ?? 0;
      seen.set(role, earlier + 1);
      named.push({ name: `${position}.${role}${earlier === 0 ? "" : `_${earlier}`}`, ...weight });
    }
    position++;
  }
  if (named.length === 0) {
    throw invalidModel("the model has no variables; give its first layer an inputShape");
  }
  return named;
}

function describeVariable(weight: LayersModel["weights"][number]) {
  const variable = variableOf(weight);
  return {
    originalName: weight.originalName,
    dtype: weight.dtype,
    shape: variable.shape,
    variable,
  };
}

/** The `tf.Variable` inside a layer's variable: `read` returns that very object, typed as a tensor. */
export function variableOf(weight: LayersModel["weights"][number]): Variable {
  const held = weight.read();
  if (!isVariable(held)) throw invalidModel(`"${weight.originalName}" is not a tf.Variable`);
  return held;
}

const isVariable = (tensor: Tensor): tensor is Variable => "assign" in tensor;

/** Names and shapes of the model's tensors, in the order of the flat vector. */
export function tensorSpecsOf(model: LayersModel): TensorSpec[] {
  return variablesOf(model).map(({ name, shape }) => ({ name, shape: [...shape] }));
}

/** The model's weights as one flat vector, in memory of its own. */
export function readWeights(model: LayersModel): Float32Array<ArrayBuffer> {
  const variables = variablesOf(model);
  const size = variables.reduce((sum, { variable }) => sum + variable.size, 0);
  const flat = new Float32Array(size);
  let offset = 0;
  for (const { variable } of variables) {
    flat.set(variable.dataSync<"float32">(), offset);
    offset += variable.size;
  }
  return flat;
}

/**
 * Sets the model's weights from a flat vector, which is only read.
 * @throws FederatedError UPDATE_LAYOUT_MISMATCH when the vector's length is not the model's
 */
export function writeWeights(tf: TensorFlow, model: LayersModel, flat: Float32Array): void {
  const variables = variablesOf(model);
  const size = variables.reduce((sum, { variable }) => sum + variable.size, 0);
  if (flat.length !== size) {
    throw mismatch(`the vector has ${flat.length} elements, the model ${size} parameters`);
  }
  let offset = 0;
  for (const { variable } of variables) {
    // A copy, since the cpu backend keeps the array it is given. A new tensor, since the wasm backend
    // caches packed weights by tensor and would not see a change in place.
    const values = flat.slice(offset, offset + variable.size);
    offset += variable.size;
    tf.tidy(() => {
      variable.assign(tf.tensor(values, variable.shape, "float32"));
    });
  }
}

/** @throws FederatedError UPDATE_LAYOUT_MISMATCH when names or shapes differ from the model's */
export function assertModelFits(model: LayersModel, layout: Layout): void {
  const specs = tensorSpecsOf(model);
  if (specs.length !== layout.tensors.length) {
    throw mismatch(`the task has ${layout.tensors.length} tensors, the model ${specs.length}`);
  }
  specs.forEach((own, i) => {
    const asked = layout.tensors[i];
    if (asked?.name !== own.name || !sameShape(asked.shape, own.shape)) {
      const theirs = asked === undefined ? "nothing" : show(asked);
      throw mismatch(`tensor ${i} of the task is ${theirs}, of the model ${show(own)}`);
    }
  });
}

/** What a task needs to know of a model: its tensors and the weights to start from. */
export async function describeModel(
  model: LayersModel,
): Promise<{ tensors: TensorSpec[]; initialWeights: Float32Array<ArrayBuffer> }> {
  return { tensors: tensorSpecsOf(model), initialWeights: readWeights(model) };
}

const show = ({ name, shape }: TensorSpec) => `"${name}" [${shape.join(", ")}]`;

const sameShape = (a: readonly number[], b: readonly number[]) =>
  a.length === b.length && a.every((dimension, i) => dimension === b[i]);

const mismatch = (message: string) => new FederatedError("UPDATE_LAYOUT_MISMATCH", message);
const invalidModel = (message: string) => new FederatedError("CONFIG_INVALID", message);
