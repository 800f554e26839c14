import type { TaskSpec } from "@tributary/protocol";
import { expect, test } from "vitest";

import { privateTaskOf, taskOf } from "../data/resources.fixture.ts";
import { setUpFacts } from "./set-up.ts";

/** A task whose spec has these parts. */
const factsOf = (parts: Partial<TaskSpec>): Record<string, string> => {
  const task = taskOf();
  return Object.fromEntries(setUpFacts({ ...task, spec: { ...task.spec, ...parts } as TaskSpec }));
};
const thin = (text: string) => text.replace(/ (?=%|s\b|min\b)/g, "\u202f");

test("[DB14] a task's set-up is told in words", () => {
  expect(factsOf({})).toMatchObject({
    "Clients are chosen": thin("8 and 50 % more, each as likely as any other"),
    "Each client trains": "1 epoch in batches of 10, sgd at learning rate 0.1",
    "Updates count": "all alike",
    "The mean is applied": "as it is, at rate 1",
    "A round needs": "10 clients and 3 reports",
    "And takes at most": thin("1 s to gather, 1 s to report, 1 s to aggregate"),
    "Quality is judged": "by nobody",
    "It ends": "when an operator ends it",
  });
  expect(factsOf({})).not.toHaveProperty("Updates are clipped");
});

test("[DB14] every sampler, optimizer, judge and end has its words", () => {
  const poisson = { kind: "poisson", samplingRate: 0.125, population: 12_000 } as const;
  expect(factsOf({ sampler: poisson })["Clients are chosen"]).toBe(
    thin("each by a coin of its own at 12.5 %, of a population of 12\u202f000"),
  );
  expect(factsOf({ sampler: { ...poisson, maxCohort: 9 } })["Clients are chosen"]).toContain(
    "9 at most",
  );
  expect(factsOf({ sampler: { kind: "all" } })["Clients are chosen"]).toBe("all that wait");
  const sends = (plan: Partial<TaskSpec["plan"]>) =>
    factsOf({ plan: { ...taskOf().spec.plan, ...plan } })["And sends"];
  expect(sends({})).toBe("its update as float32");
  expect(sends({ encoding: { kind: "int4" }, compression: "brotli" })).toBe(
    "its update as int4, packed with brotli",
  );
  const share = { fraction: 0.01, values: "int8" } as const;
  expect(sends({ encoding: { kind: "topK", ...share, feedback: true } })).toBe(
    thin("the largest 1 % of its update as int8, and keeps the rest for the next"),
  );
  expect(sends({ encoding: { kind: "randomK", ...share, feedback: false } })).toBe(
    thin("the randomly chosen 1 % of its update as int8"),
  );
  const yogi = { kind: "yogi", learningRate: 0.01, beta1: 0.9, beta2: 0.99, tau: 0.001 } as const;
  expect(factsOf({ serverOptimizer: yogi })["The mean is applied"]).toBe(
    "by FedOpt (yogi), at rate 0.01",
  );
  const momentum = { kind: "momentum", learningRate: 1, momentum: 0.9 } as const;
  expect(factsOf({ serverOptimizer: momentum })["The mean is applied"]).toContain(
    "with momentum 0.9",
  );
  expect(
    factsOf({ evaluation: { kind: "federated", numClasses: 2 } })["Quality is judged"],
  ).toContain("by the clients");
  expect(
    factsOf({ evaluation: { kind: "central", evaluator: "mnist" } })["Quality is judged"],
  ).toContain("“mnist”");
  expect(factsOf({})).not.toHaveProperty("Copies for serving");
  expect(factsOf({ serving: { encodings: ["bfloat16", "int8"] } })["Copies for serving"]).toBe(
    "bfloat16 and int8",
  );
  const stop = { maxRounds: 40, target: { metric: "loss", value: 0.25 } } as const;
  expect(factsOf({ stop })["It ends"]).toBe(
    "after 40 committed rounds, or when loss is at most 0.25",
  );
  expect(Object.fromEntries(setUpFacts(privateTaskOf()))).toMatchObject({
    "Updates are clipped": "to norm 1",
    "It ends": "before its privacy budget is exceeded",
  });
});
