import { expect, test } from "vitest";

import { addEvaluationSums, judgeOutputs, summarizeEvaluation } from "./evaluation.ts";

test("[EV1] counts per class and losses of probabilities are what hand calculation gives", () => {
  const sums = judgeOutputs({
    objective: "softmaxCrossEntropy",
    output: "probabilities",
    outputs: [0.7, 0.2, 0.1, 0.1, 0.6, 0.3, 0.4, 0.4, 0.2, 0.05, 0.05, 0.9],
    labels: [0, 2, 1, 2],
    numExamples: 4,
  });
  expect(sums).toMatchObject({
    numExamples: 4,
    truePositives: [1, 0, 1], // the tie in row 3 goes to class 0
    falsePositives: [1, 1, 0],
    falseNegatives: [0, 1, 1],
  });
  expect(sums.lossSum).toBeCloseTo(-Math.log(0.7 * 0.3 * 0.4 * 0.9), 5);
  expect(summarizeEvaluation(sums, "central")).toMatchObject({ accuracy: 0.5 });
});

test("[EV1] logits and the probabilities made from them give the same loss", () => {
  const logits = [2, -1, 0.5, 300, -300, 0];
  const probabilities = [0, 3].flatMap((at) => {
    const row = logits.slice(at, at + 3).map((value) => Math.exp(value - Math.max(2, logits[at]!)));
    const total = row.reduce((sum, value) => sum + value, 0);
    return row.map((value) => value / total);
  });
  const judge = (output: "logits" | "probabilities", outputs: number[]) =>
    judgeOutputs({
      objective: "softmaxCrossEntropy",
      output,
      outputs,
      labels: [2, 0],
      numExamples: 2,
    });
  expect(judge("logits", logits).lossSum).toBeCloseTo(
    judge("probabilities", probabilities).lossSum,
    5,
  );
});

test("[EV2] one sigmoid output counts as two classes, in probabilities and in logits", () => {
  const labels = [0, 1, 1, 0];
  const judge = (output: "logits" | "probabilities", outputs: number[]) =>
    judgeOutputs({ objective: "binaryCrossEntropy", output, outputs, labels, numExamples: 4 });
  const logits = [-2, 1, -0.5, 0];
  const sums = judge("logits", logits);
  expect(sums).toMatchObject({
    truePositives: [1, 1],
    falsePositives: [1, 1],
    falseNegatives: [1, 1],
  });
  const probabilities = judge(
    "probabilities",
    logits.map((x) => 1 / (1 + Math.exp(-x))),
  );
  expect(probabilities).toMatchObject({ ...sums, lossSum: expect.closeTo(sums.lossSum, 5) });
});

test("[EV3] regression has a mean squared error over the outputs and no classes", () => {
  const sums = judgeOutputs({
    objective: "meanSquaredError",
    output: "probabilities",
    outputs: [1, 2, 3, 4],
    labels: [1, 0, 3, 1],
    numExamples: 2,
  });
  expect(sums).toEqual({
    numExamples: 2,
    lossSum: (4 + 9) / 2,
    truePositives: [],
    falsePositives: [],
    falseNegatives: [],
  });
});

test("[EV4] outputs that are not finite and labels out of range are refused, never counted", () => {
  const base = { objective: "softmaxCrossEntropy", output: "logits", numExamples: 1 } as const;
  expect(() => judgeOutputs({ ...base, outputs: [NaN, 0], labels: [0] })).toThrow(/not finite/);
  expect(() => judgeOutputs({ ...base, outputs: [Infinity, 0], labels: [0] })).toThrow(/finite/);
  expect(() => judgeOutputs({ ...base, outputs: [1, 0], labels: [2] })).toThrow(/label 2/);
  expect(() => judgeOutputs({ ...base, outputs: [1, 0], labels: [0.5] })).toThrow(/label 0.5/);
  expect(() => judgeOutputs({ ...base, outputs: [1, 0], labels: [0, 1] })).toThrow(/do not fit/);
});

test("[EV1] sums of two halves add up to the sums of the whole", () => {
  const outputs = [0.9, 0.1, 0.2, 0.8, 0.6, 0.4, 0.3, 0.7];
  const labels = [0, 0, 1, 1];
  const judge = (from: number, to: number) =>
    judgeOutputs({
      objective: "softmaxCrossEntropy",
      output: "probabilities",
      outputs: outputs.slice(2 * from, 2 * to),
      labels: labels.slice(from, to),
      numExamples: to - from,
    });
  const whole = judge(0, 4);
  const halves = addEvaluationSums(judge(0, 1), judge(1, 4));
  expect(halves).toEqual({ ...whole, lossSum: expect.closeTo(whole.lossSum, 10) });
});
