/**
 * The client's optimizers: SGD, SGD with momentum, and Adam (Kingma & Ba 2015, algorithm 1).
 * FedProx (Li et al. 2020, eq. 2) adds mu * (w - w_received), the gradient of its proximal term.
 */

import type { TrainingPlan } from "@tributary/protocol";
import type { NamedTensorMap, Tensor, Variable } from "@tensorflow/tfjs-core";

import type { TensorFlow } from "./tensorflow.ts";

export interface Optimizer {
  /** One step down the gradients, by name of variable. Intermediate tensors are freed. */
  step(gradients: NamedTensorMap): void;
  /** Frees its state. */
  dispose(): void;
}

/** What an optimizer subtracts from a variable; keeps its own state. */
interface Rule {
  direction(gradient: Tensor): Tensor;
  dispose(): void;
}

/**
 * An optimizer for one assignment: momentum and moments start at zero, and the variables' values at
 * this moment are the received ones that FedProx holds on to.
 */
export function createOptimizer(
  tf: TensorFlow,
  plan: Pick<TrainingPlan, "learningRate" | "optimizer" | "proximalMu">,
  variables: readonly Variable[],
): Optimizer {
  const { learningRate, proximalMu } = plan;
  const rules = new Map(
    variables.map((variable) => [variable.name, createRule(tf, plan, variable)]),
  );
  const received = new Map(
    proximalMu === 0
      ? []
      : variables.map((variable) => [
          variable.name,
          tf.keep(tf.tidy(() => tf.add<Tensor>(variable, 0))),
        ]),
  );
  return {
    step: (gradients) =>
      tf.tidy(() => {
        for (const variable of variables) {
          const plain = gradients[variable.name];
          const rule = rules.get(variable.name);
          if (plain === undefined || rule === undefined) continue;
          const anchor = received.get(variable.name);
          const gradient =
            anchor === undefined
              ? plain
              : tf.add(plain, tf.mul(tf.sub(variable, anchor), proximalMu));
          variable.assign(tf.sub(variable, tf.mul(rule.direction(gradient), learningRate)));
        }
      }),
    dispose: () => {
      for (const rule of rules.values()) rule.dispose();
      tf.dispose([...received.values()]);
    },
  };
}

function createRule(
  tf: TensorFlow,
  { optimizer }: Pick<TrainingPlan, "optimizer">,
  variable: Variable,
): Rule {
  switch (optimizer.kind) {
    case "sgd":
      return { direction: (gradient) => gradient, dispose: () => undefined };
    case "momentum": {
      const velocity = createState(tf, variable);
      return {
        direction: (gradient) =>
          velocity.set(tf.add(tf.mul(velocity.get(), optimizer.momentum), gradient)),
        dispose: velocity.dispose,
      };
    }
    case "adam":
      return createAdamRule(tf, optimizer, variable);
  }
}

function createAdamRule(
  tf: TensorFlow,
  { beta1, beta2, epsilon }: Extract<TrainingPlan["optimizer"], { kind: "adam" }>,
  variable: Variable,
): Rule {
  const first = createState(tf, variable);
  const second = createState(tf, variable);
  let steps = 0;
  return {
    direction: (gradient) => {
      steps++;
      const m = first.set(tf.add(tf.mul(first.get(), beta1), tf.mul(gradient, 1 - beta1)));
      const squares = tf.mul(tf.square(gradient), 1 - beta2);
      const v = second.set(tf.add(tf.mul(second.get(), beta2), squares));
      const unbiasedV = tf.div(v, 1 - beta2 ** steps);
      return tf.div(tf.div(m, 1 - beta1 ** steps), tf.add(tf.sqrt(unbiasedV), epsilon));
    },
    dispose: () => {
      first.dispose();
      second.dispose();
    },
  };
}

/** A tensor that outlives `tidy`, and is replaced as a whole. Starts as zeros like `variable`. */
function createState(tf: TensorFlow, variable: Variable) {
  let held: Tensor = tf.keep(tf.zerosLike(variable));
  return {
    get: () => held,
    set: (next: Tensor): Tensor => {
      held.dispose();
      held = tf.keep(next);
      return held;
    },
    dispose: () => {
      held.dispose();
    },
  };
}
