import type { ServerOptimizerSpec } from "@tributary/protocol";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

import {
  createServerOptimizer,
  decodeOptimizerState,
  encodeOptimizerState,
} from "./server-optimizer.ts";

const adaptive = { learningRate: 0.1, beta1: 0.9, beta2: 0.99, tau: 1e-3 };
const specs: ServerOptimizerSpec[] = [
  { kind: "sgd", learningRate: 0.5 },
  { kind: "momentum", learningRate: 0.5, momentum: 0.9 },
  { kind: "adagrad", learningRate: 0.1, beta1: 0, tau: 1e-3 },
  { kind: "adam", ...adaptive },
  { kind: "yogi", ...adaptive },
];

/** Takes the same mean delta twice from weight 1. */
function twoSteps(spec: ServerOptimizerSpec, d: number): number[] {
  const optimizer = createServerOptimizer(spec, 1);
  const first = optimizer.step(Float32Array.of(1), Float64Array.of(d));
  const second = optimizer.step(first, Float64Array.of(d));
  return [first[0]!, second[0]!];
}

/** One weight through Reddi et al. 2020, Algorithm 2, line by line. */
function naiveRun(spec: ServerOptimizerSpec, start: number, deltas: number[]): number {
  let x = Math.fround(start);
  let m = 0;
  let v = "tau" in spec ? spec.tau ** 2 : 0;
  for (const d of deltas) {
    if (spec.kind === "sgd") x = Math.fround(x + spec.learningRate * d);
    else if (spec.kind === "momentum") {
      m = spec.momentum * m + d;
      x = Math.fround(x + spec.learningRate * m);
    } else {
      m = spec.beta1 * m + (1 - spec.beta1) * d;
      if (spec.kind === "adagrad") v += d * d;
      else if (spec.kind === "adam") v = spec.beta2 * v + (1 - spec.beta2) * d * d;
      else if (v > d * d) v -= (1 - spec.beta2) * d * d;
      else if (v < d * d) v += (1 - spec.beta2) * d * d;
      x = Math.fround(x + (spec.learningRate * m) / (Math.sqrt(v) + spec.tau));
    }
  }
  return x;
}

describe("server optimizers", () => {
  test("[AG6] SGD at rate 1 is FedAvg: the mean delta is added", () => {
    expect(twoSteps({ kind: "sgd", learningRate: 1 }, 0.25)).toEqual([1.25, 1.5]);
  });

  test("[AG6] momentum gathers speed: m1 = d, m2 = 1.9 d", () => {
    const [first, second] = twoSteps({ kind: "momentum", learningRate: 0.5, momentum: 0.9 }, 0.2);
    expect(first).toBeCloseTo(1.1, 6);
    expect(second).toBeCloseTo(1.1 + 0.5 * 1.9 * 0.2, 6);
  });

  test("[AG6] Adagrad, Adam and Yogi follow Reddi et al. 2020, by hand", () => {
    const d = 0.2;
    const tau = 1e-3;
    const v0 = tau * tau;
    const expected = {
      adagrad: (() => {
        const [v1, v2] = [v0 + d * d, v0 + 2 * d * d];
        const x1 = 1 + (0.1 * d) / (Math.sqrt(v1) + tau);
        return [x1, x1 + (0.1 * d) / (Math.sqrt(v2) + tau)];
      })(),
      adam: (() => {
        const v1 = 0.99 * v0 + 0.01 * d * d;
        const v2 = 0.99 * v1 + 0.01 * d * d;
        const x1 = 1 + (0.1 * 0.1 * d) / (Math.sqrt(v1) + tau);
        return [x1, x1 + (0.1 * 0.19 * d) / (Math.sqrt(v2) + tau)];
      })(),
      yogi: (() => {
        // v < d^2 throughout, so the sign is -1 and v grows by (1 - beta2) d^2
        const v1 = v0 + 0.01 * d * d;
        const v2 = v1 + 0.01 * d * d;
        const x1 = 1 + (0.1 * 0.1 * d) / (Math.sqrt(v1) + tau);
        return [x1, x1 + (0.1 * 0.19 * d) / (Math.sqrt(v2) + tau)];
      })(),
    };
    for (const spec of specs) {
      if (spec.kind === "sgd" || spec.kind === "momentum") continue;
      twoSteps(spec, d).forEach((value, i) =>
        expect(value).toBeCloseTo(expected[spec.kind][i]!, 6),
      );
    }
  });

  test("[AG6] Yogi lets v shrink when it is above the squared delta", () => {
    const optimizer = createServerOptimizer({ kind: "yogi", ...adaptive }, 1, [
      Float64Array.of(0),
      Float64Array.of(1),
    ]);
    optimizer.step(Float32Array.of(0), Float64Array.of(0.5));
    expect(optimizer.state()[1]![0]).toBeCloseTo(1 - 0.01 * 0.25, 12);
  });

  test("[AG6] any run of steps is that of Algorithm 2 written down a second time", () => {
    const finite = fc.double({ min: -10, max: 10, noNaN: true });
    fc.assert(
      fc.property(
        fc.constantFrom(...specs),
        fc.array(fc.tuple(finite, finite), { minLength: 1, maxLength: 12 }),
        (spec, deltas) => {
          const optimizer = createServerOptimizer(spec, 2);
          let weights: Float32Array = Float32Array.of(0.5, -2);
          const naive = [0.5, -2].map((start, k) =>
            naiveRun(
              spec,
              start,
              deltas.map((d) => d[k]!),
            ),
          );
          for (const delta of deltas) weights = optimizer.step(weights, Float64Array.from(delta));
          naive.forEach((expected, k) => {
            const error = Math.abs(weights[k]! - expected);
            expect(error).toBeLessThanOrEqual(1e-6 * (1 + Math.abs(expected)));
          });
        },
      ),
    );
  });

  test("[AG9] vectors of another length are refused before anything changes", () => {
    const optimizer = createServerOptimizer(specs[1]!, 2);
    expect(() => optimizer.step(new Float32Array(2), Float64Array.of(1, 1, 1))).toThrow("3");
    expect(() => optimizer.step(new Float32Array(1), Float64Array.of(1, 1))).toThrow("1 weights");
    expect([...optimizer.state()[0]!]).toEqual([0, 0]);
  });

  test("[AG7] going on from the encoded state is bit-identical to going on", () => {
    for (const spec of specs) {
      const mean = Float64Array.of(0.3, -0.7, 1e-12);
      const unbroken = createServerOptimizer(spec, 3);
      let weights = unbroken.step(new Float32Array(3), mean);
      const bytes = encodeOptimizerState(spec.kind, unbroken.state());
      const restored = createServerOptimizer(spec, 3, decodeOptimizerState(bytes, spec.kind, 3));
      const other = restored.step(weights, mean);
      weights = unbroken.step(weights, mean);
      expect(other).toEqual(weights);
      expect(restored.state()).toEqual(unbroken.state());
    }
  });

  test("[AG7] a state of another optimizer or model is refused", () => {
    const bytes = encodeOptimizerState("momentum", [new Float64Array(3)]);
    const decode = (stored: Uint8Array, kind: "momentum" | "adam", parameterCount: number) => () =>
      decodeOptimizerState(stored, kind, parameterCount);
    expect(decode(bytes, "momentum", 4)).toThrow("3 parameters, the model 4");
    expect(decode(bytes, "adam", 3)).toThrow('of "momentum", the task uses "adam"');
    expect(decode(bytes.slice(0, 20), "momentum", 3)).toThrow("20 bytes");
    expect(decode(new Uint8Array(3), "momentum", 3)).toThrow("3 bytes");
    expect(decode(new Uint8Array(40), "momentum", 3)).toThrow("do not begin");
    expect(decode(new Uint8Array(0), "momentum", 3)).toThrow(
      expect.objectContaining({ code: "CHECKPOINT_CORRUPT" }),
    );
    expect(() => encodeOptimizerState("adam", [new Float64Array(3)])).toThrow("state vectors");
    expect(() =>
      createServerOptimizer({ kind: "sgd", learningRate: 1 }, 3, [new Float64Array(3)]),
    ).toThrow("state vectors");
  });
});
