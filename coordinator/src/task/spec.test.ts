import type { FederatedError, MatrixPrivacy, TaskSpec } from "@tributary/protocol";
import { isFederatedError } from "@tributary/protocol";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

import type { Fault } from "../config/schema.ts";
import { resolveTaskSpec } from "./spec.ts";

const least = { taskId: "digits", model: { tensors: [{ name: "w", shape: [2, 3] }] } };
const central = { mechanism: "central", noiseMultiplier: 1, delta: 1e-6, maxEpsilon: 4 };
const privately = { ...least, privacy: central, clippingNorm: 0.5 };
const matrixRun = {
  ...least,
  privacy: {
    ...{ mechanism: "matrix", noiseMultiplier: 1, delta: 1e-5, maxEpsilon: 5 },
    ...{ rounds: 40, minSeparation: 10, maxParticipations: 4 },
  },
  clippingNorm: 0.5,
};

function refusal(input: unknown): FederatedError {
  try {
    resolveTaskSpec(input);
  } catch (error) {
    if (isFederatedError(error)) return error;
    throw error;
  }
  return expect.fail("the task was accepted");
}
const faultsOf = (input: unknown): Fault[] => refusal(input).details?.faults as Fault[];
const pathsOf = (input: unknown): string[] => faultsOf(input).map(({ path }) => path);
const onlyFault = (input: unknown): string => {
  const faults = faultsOf(input);
  expect(faults).toHaveLength(1);
  return `${faults[0]!.path} ${faults[0]!.message}`;
};

describe("defaults", () => {
  test("[TS1] an id and a model make a task: plain FedAvg of everybody who is there", () => {
    expect(resolveTaskSpec(least)).toEqual({
      ...least,
      description: "",
      plan: {
        epochs: 1,
        batchSize: 10,
        learningRate: 0.1,
        optimizer: { kind: "sgd" },
        proximalMu: 0,
        encoding: { kind: "float32" },
        compression: "none",
      },
      sampler: { kind: "all" },
      aggregation: { kind: "mean" },
      weighting: { kind: "byExamples", cap: 10_000 },
      serverOptimizer: { kind: "sgd", learningRate: 1 },
      privacy: { mechanism: "none" },
      schedule: {
        minClients: 2,
        minReports: 2,
        selectionDeadlineMs: 60_000,
        reportWindowMs: 300_000,
        aggregationDeadlineMs: 120_000,
        pauseBetweenRoundsMs: 0,
      },
      stop: {},
      evaluation: { kind: "none" },
    });
  });

  test.each([
    ["sgd", { learningRate: 1 }],
    ["momentum", { learningRate: 1, momentum: 0.9 }],
    ["adagrad", { learningRate: 0.1, beta1: 0, tau: 1e-3 }],
    ["adam", { learningRate: 0.1, beta1: 0.9, beta2: 0.99, tau: 1e-3 }],
    ["yogi", { learningRate: 0.1, beta1: 0.9, beta2: 0.99, tau: 1e-3 }],
  ])("[TS1] server optimizer %s gets the numbers of its paper", (kind, numbers) => {
    const { serverOptimizer } = resolveTaskSpec({ ...least, serverOptimizer: { kind } });
    expect(serverOptimizer).toEqual({ kind, ...numbers });
  });

  test.each([
    ["sgd", 0.1, {}],
    ["momentum", 0.01, { momentum: 0.9 }],
    ["adam", 0.001, { beta1: 0.9, beta2: 0.999, epsilon: 1e-7 }],
  ])("[TS1] client optimizer %s gets its usual step %d", (kind, learningRate, numbers) => {
    const { plan } = resolveTaskSpec({ ...least, plan: { optimizer: { kind } } });
    expect(plan.learningRate).toBe(learningRate);
    expect(plan.optimizer).toEqual({ kind, ...numbers });
  });

  test.each([
    [{ kind: "uniform", cohortSize: 10, overSelection: 0.25 }, 13, 5],
    [{ kind: "uniform", cohortSize: 1 }, 1, 1],
    [{ kind: "poisson", samplingRate: 0.1, population: 101 }, 51, 5],
    [{ kind: "poisson", samplingRate: 0.001, population: 10 }, 5, 1],
    [{ kind: "all" }, 2, 2],
  ])("[TS2] %o waits for %d clients and asks for %d reports", (sampler, minClients, minReports) => {
    expect(resolveTaskSpec({ ...least, sampler }).schedule).toMatchObject({
      minClients,
      minReports,
    });
  });

  test("[TS2] minReports follows a minClients that was given", () => {
    const schedule = (minClients: number) =>
      resolveTaskSpec({ ...least, schedule: { minClients } }).schedule;
    expect(schedule(1).minReports).toBe(1);
    expect(schedule(9).minReports).toBe(5);
  });

  test("[TS3] what a client claims to have is capped by what the plan lets it use", () => {
    expect(resolveTaskSpec({ ...least, plan: { maxExamples: 50 } }).weighting).toEqual({
      kind: "byExamples",
      cap: 50,
    });
  });

  test("[MM16] a matrix run gets the matrix that is best for it, and keeps it when it is resolved again", () => {
    const spec = resolveTaskSpec(matrixRun);
    expect(spec.weighting).toEqual({ kind: "uniform" });
    expect(spec.privacy).toMatchObject({ ...matrixRun.privacy, factorization: { kind: "blt" } });
    const { factorization } = spec.privacy as MatrixPrivacy;
    expect(factorization).toMatchObject({
      decays: expect.arrayContaining([expect.any(Number)]) as unknown,
    });
    expect(resolveTaskSpec(spec)).toEqual(spec);
    const tree = { ...matrixRun.privacy, factorization: { kind: "tree" } };
    expect(resolveTaskSpec({ ...matrixRun, privacy: tree }).privacy).toEqual(tree);
  });

  test.each([
    [{ maxParticipations: 5 }, /^privacy.maxParticipations is 5, .* have room for 4$/],
    [{ rounds: 20_000, minSeparation: 20_000 }, /^privacy.rounds must be .*, got 20000$/],
    [{ minSeparation: 0 }, /^privacy.minSeparation must be/],
    [
      { noiseMultiplier: 0.8 },
      /^privacy.maxEpsilon is 5, below the epsilon of 5.\d+ that .* a noiseMultiplier of 0.\d+ would do$/,
    ],
    [{ delta: 1 }, /^privacy.delta must be/],
    [
      { factorization: { kind: "blt", decays: [0.5], scales: [1.5] } },
      /^privacy.factorization has the scale 1.5/,
    ],
    [
      { factorization: { kind: "blt", decays: [0.5] } },
      /^privacy.factorization has 1 decays and 0 scales/,
    ],
    [{ factorization: { kind: "wheel" } }, /^privacy.factorization/],
  ])(
    "[MM16] a run that cannot keep its promise is refused, with both values: %j",
    (wrong, fault) => {
      const privacy = { ...matrixRun.privacy, ...wrong };
      expect(onlyFault({ ...matrixRun, privacy })).toMatch(fault);
    },
  );

  test("[MM16] a run needs what every private task needs, and a state that fits", () => {
    expect(onlyFault({ ...least, privacy: matrixRun.privacy })).toMatch(
      /^clippingNorm is not set, while privacy.mechanism is "matrix"/,
    );
    const weighting = { kind: "byExamples", cap: 5 };
    expect(onlyFault({ ...matrixRun, weighting })).toMatch(/^weighting.kind is "byExamples"/);
    const evaluation = { kind: "federated", numClasses: 2 };
    expect(onlyFault({ ...matrixRun, evaluation })).toMatch(/^evaluation.kind is "federated"/);
    const sampler = { kind: "uniform", cohortSize: 2, seed: 7 };
    expect(onlyFault({ ...matrixRun, sampler })).toMatch(/^sampler.seed is 7/);
    const model = { tensors: [{ name: "w", shape: [30_000_000] }] };
    expect(onlyFault({ ...matrixRun, model })).toMatch(/^privacy.factorization has to remember/);
  });

  test("[TS4] a private task weighs uniformly without being told", () => {
    expect(resolveTaskSpec(privately).weighting).toEqual({ kind: "uniform" });
  });

  test("[TS5] resolving a resolved task changes nothing, and the result is frozen", () => {
    const spec = resolveTaskSpec(privately);
    expect(resolveTaskSpec(spec)).toEqual(spec);
    const frozen = (value: unknown): boolean =>
      typeof value !== "object" ||
      value === null ||
      (Object.isFrozen(value) && Object.values(value).every(frozen));
    expect(frozen(spec)).toBe(true);
    expect(Object.isFrozen(privately.model)).toBe(false);
  });
});

describe("faults", () => {
  test("[TS6] all faults are told at once, each with its path", () => {
    const error = refusal({
      ...least,
      taskId: "No!",
      plan: { epochs: 0, learningrate: 1, optimizer: { kind: "adam", beta1: 1 } },
      sampler: { kind: "poisson", samplingRate: 0, population: 1.5 },
      serverOptimizer: { kind: "yogi", tau: 0 },
      stop: { target: { metric: "accuracy", value: 2 } },
      surprise: true,
    });
    expect(error.code).toBe("CONFIG_INVALID");
    expect((error.details?.faults as Fault[]).map(({ path }) => path)).toEqual([
      "surprise",
      "taskId",
      "plan.learningrate",
      "plan.epochs",
      "plan.optimizer.beta1",
      "sampler.samplingRate",
      "sampler.population",
      "serverOptimizer.tau",
      "stop.target.metric",
      "stop.target.value",
    ]);
    expect(error.message).toContain("plan.epochs must be >= 1, got 0");
  });

  test.each([
    ["taskId", undefined],
    ["model", undefined],
    ["model.tensors", []],
    ["model.tensors.0.shape.1", [{ name: "w", shape: [2, 0] }]],
    ["model.tensors.0.shape.0", [{ name: "w", shape: [1.5] }]],
    ["model.tensors.0.name", [{ name: "", shape: [] }]],
    ["model.tensors.0.dtype", [{ name: "w", shape: [1], dtype: "int32" }]],
  ])("[TS7] a model must be one that can be laid out: %s", (path, tensors) => {
    const [part] = path.split(".") as [string];
    const input = { ...least, [part]: tensors === undefined ? undefined : { tensors } };
    expect(pathsOf(input)).toEqual([path]);
  });

  test("[TS7] two tensors of one name and a model that fits no memory are refused", () => {
    const tensors = [
      { name: "w", shape: [2 ** 20, 2 ** 9] },
      { name: "w", shape: [1] },
    ];
    expect(faultsOf({ ...least, model: { tensors } })).toEqual([
      { path: "model.tensors.1.name", message: 'is "w", as model.tensors.0.name is' },
      { path: "model.tensors", message: "has 536870913 parameters, at most 536870912 fit" },
    ]);
  });

  const plan = (plan: object) => ({ ...least, plan });
  const server = (serverOptimizer: object) => ({ ...least, serverOptimizer });
  const sampler = (sampler: object) => ({ ...least, sampler });
  const privacy = (numbers: object) => ({ ...privately, privacy: { ...central, ...numbers } });
  test.each([
    ["plan.batchSize", plan({ batchSize: 0 })],
    ["plan.learningRate", plan({ learningRate: 0 })],
    ["plan.learningRate", plan({ learningRate: Infinity })],
    ["plan.learningRate", plan({ learningRate: Number.NaN })],
    ["plan.optimizer.momentum", plan({ optimizer: { kind: "momentum", momentum: 1 } })],
    ["plan.proximalMu", plan({ proximalMu: -1 })],
    ["plan.maxExamples", plan({ maxExamples: 0 })],
    ["plan.seed", plan({ seed: 2 ** 32 })],
    ["plan.encoding", plan({ encoding: "float32" })],
    ["plan.encoding.kind", plan({ encoding: { kind: "float16" } })],
    ["plan.encoding.fraction", plan({ encoding: { kind: "int8", fraction: 0.1 } })],
    ["plan.encoding.fraction", plan({ encoding: { kind: "topK" } })],
    ["plan.encoding.fraction", plan({ encoding: { kind: "topK", fraction: 0 } })],
    ["plan.encoding.fraction", plan({ encoding: { kind: "randomK", fraction: 1.5 } })],
    ["plan.encoding.values", plan({ encoding: { kind: "topK", fraction: 0.1, values: "topK" } })],
    ["plan.encoding.feedback", plan({ encoding: { kind: "topK", fraction: 0.1, feedback: 1 } })],
    ["plan.compression", plan({ compression: "gzip" })],
    ["plan.clippingNorm", plan({ clippingNorm: 1 })],
    ["serverOptimizer.momentum", server({ kind: "momentum", momentum: 1 })],
    ["serverOptimizer.beta2", server({ kind: "adam", beta2: 1 })],
    ["serverOptimizer.beta2", server({ kind: "adagrad", beta2: 0.9 })],
    ["serverOptimizer.kind", server({ kind: "lamb" })],
    ["sampler.kind", sampler({ cohortSize: 3 })],
    ["sampler.cohortSize", sampler({ kind: "uniform" })],
    ["sampler.overSelection", sampler({ kind: "uniform", cohortSize: 3, overSelection: 4.1 })],
    ["sampler.samplingRate", sampler({ kind: "poisson", samplingRate: 1.1, population: 9 })],
    ["weighting.cap", { ...least, weighting: { kind: "byExamples" } }],
    ["privacy.noiseMultiplier", privacy({ noiseMultiplier: 0 })],
    ["privacy.delta", privacy({ delta: 1 })],
    ["privacy.delta", privacy({ delta: 0 })],
    ["privacy.maxEpsilon", privacy({ maxEpsilon: 0 })],
    ["privacy.maxEpsilon", privacy({ maxEpsilon: undefined })],
    ["clippingNorm", { ...least, clippingNorm: 0 }],
    ["evaluation.numClasses", { ...least, evaluation: { kind: "federated", numClasses: 1001 } }],
    ["stop.maxRounds", { ...least, stop: { maxRounds: 0 } }],
  ])("[TS8] a value out of its range is refused: %s", (path, input) => {
    expect(pathsOf(input)).toEqual([path]);
  });

  test("[TS9] every deadline is between a millisecond and seven days", () => {
    const weeks = 7 * 24 * 3_600_000;
    for (const name of ["selectionDeadlineMs", "reportWindowMs", "aggregationDeadlineMs"]) {
      for (const wrong of [0, weeks + 1, 2 ** 31, Infinity]) {
        expect(pathsOf({ ...least, schedule: { [name]: wrong } })).toEqual([`schedule.${name}`]);
      }
      resolveTaskSpec({ ...least, schedule: { [name]: weeks } });
    }
  });
});

describe("rules across fields", () => {
  test("[EC7] an encoding that the task's privacy cannot have is refused, with both names", () => {
    const sparse = { kind: "topK", fraction: 0.01 };
    expect(resolveTaskSpec({ ...least, plan: { encoding: sparse } }).plan.encoding).toEqual({
      ...{ ...sparse, values: "int8", feedback: true },
    });
    const dense = ["float32", "bfloat16", "int8", "int4"];
    for (const kind of dense) resolveTaskSpec({ ...privately, plan: { encoding: { kind } } });
    for (const kind of ["topK", "randomK"]) {
      const plan = { encoding: { kind, fraction: 0.1, feedback: false } };
      expect(onlyFault({ ...privately, plan })).toMatch(
        new RegExp(`^plan\\.encoding\\.kind is "${kind}", while privacy\\.mechanism is "central"`),
      );
    }
    const local = { ...privately, privacy: { ...central, mechanism: "local", maxEpsilon: 1e6 } };
    resolveTaskSpec({ ...local, plan: { encoding: { kind: "float32" } } });
    for (const encoding of [sparse, ...dense.slice(1).map((kind) => ({ kind }))]) {
      expect(onlyFault({ ...local, plan: { encoding } })).toMatch(
        /^plan\.encoding\.kind is "\w+", while privacy\.mechanism is "local"/,
      );
    }
  });

  test("[EC14] of what is not sent topK keeps, and randomK does not, unless the task says it", () => {
    const encodingOf = (encoding: object) =>
      resolveTaskSpec({ ...least, plan: { encoding } }).plan.encoding;
    for (const [kind, usual] of [["topK", true] as const, ["randomK", false] as const]) {
      const share = { kind, fraction: 0.1 };
      expect(encodingOf(share)).toEqual({ ...share, values: "int8", feedback: usual });
      for (const feedback of [true, false]) {
        const said = { ...share, values: "int4", feedback };
        expect(encodingOf(said)).toEqual(said);
      }
    }
  });

  test("[TS10] reports, clients and cohort that cannot meet are refused with both numbers", () => {
    expect(onlyFault({ ...least, schedule: { minClients: 3, minReports: 4 } })).toMatch(
      /^schedule\.minReports is 4, above schedule\.minClients of 3/,
    );
    const sampler = { kind: "uniform", cohortSize: 5 };
    expect(onlyFault({ ...least, sampler, schedule: { minReports: 6, minClients: 8 } })).toMatch(
      /^schedule\.minReports is 6, above sampler\.cohortSize of 5/,
    );
    expect(onlyFault({ ...least, sampler, schedule: { minClients: 4 } })).toMatch(
      /^schedule\.minClients is 4, below sampler\.cohortSize of 5/,
    );
    const poisson = { kind: "poisson", samplingRate: 0.5, population: 10 };
    const capped = { ...poisson, population: 2_000_000, maxCohort: 1 };
    expect(
      faultsOf({ ...least, sampler: capped, schedule: { minClients: 5, minReports: 2 } }),
    ).toEqual([
      expect.objectContaining({ path: "sampler.maxCohort" }),
      expect.objectContaining({ path: "sampler.population" }),
    ]);
    expect(onlyFault({ ...least, sampler: poisson, schedule: { minClients: 11 } })).toMatch(
      /^sampler\.population is 10, below schedule\.minClients of 11/,
    );
  });

  test("[TS11] a target that nothing measures, or that cannot be, is refused", () => {
    const stop = (metric: string, value: number) => ({ target: { metric, value } });
    const federated = { kind: "federated", numClasses: 0 };
    expect(onlyFault({ ...least, stop: stop("loss", 0.1) })).toMatch(
      /^stop\.target\.metric is "loss", while evaluation\.kind is "none"/,
    );
    expect(onlyFault({ ...least, stop: stop("macroF1", 0.9), evaluation: federated })).toMatch(
      /^stop\.target\.metric is "macroF1", while evaluation\.numClasses is 0/,
    );
    const evaluation = { kind: "central", evaluator: "mnist" };
    expect(onlyFault({ ...least, stop: stop("accuracy", 97), evaluation })).toMatch(
      /^stop\.target\.value is 97, while stop\.target\.metric is "accuracy"/,
    );
    resolveTaskSpec({ ...least, stop: stop("loss", 1.5), evaluation: federated });
    resolveTaskSpec({ ...least, stop: stop("accuracy", 0.97), evaluation });
  });

  test.each([
    ["weighting.kind", { weighting: { kind: "byExamples", cap: 10 } }],
    ["clippingNorm", { clippingNorm: undefined }],
    ["evaluation.kind", { evaluation: { kind: "federated", numClasses: 2 } }],
    ["sampler.seed", { sampler: { kind: "uniform", cohortSize: 4, seed: 1 } }],
    ["sampler.seed", { sampler: { kind: "poisson", samplingRate: 0.1, population: 9, seed: 1 } }],
  ])("[TS12] what would break a privacy promise is refused: %s", (path, change) => {
    expect(onlyFault({ ...privately, ...change })).toMatch(
      new RegExp(`^${path} is .*, while privacy\\.mechanism is "central"`),
    );
    const plain = { ...privately, ...change, privacy: { mechanism: "none" } };
    expect(resolveTaskSpec(plain).privacy.mechanism).toBe("none");
  });

  describe("of a task with local noise", () => {
    const local = { mechanism: "local", noiseMultiplier: 4, delta: 1e-5, maxEpsilon: 8 };
    const locally = { ...least, privacy: local, clippingNorm: 1 };

    test.each([
      ["weighting.kind", { weighting: { kind: "byExamples", cap: 10 } }],
      ["clippingNorm", { clippingNorm: undefined }],
      ["evaluation.kind", { evaluation: { kind: "federated", numClasses: 2 } }],
      ["sampler.seed", { sampler: { kind: "uniform", cohortSize: 4, seed: 1 } }],
    ])("[LD15] what would break its promise is refused: %s", (path, change) => {
      expect(onlyFault({ ...locally, ...change })).toMatch(
        new RegExp(`^${path} is .*, while privacy\\.mechanism is "local"`),
      );
    });

    test("[LD15] it weighs uniformly, and its noise must allow a client one update and fit float32", () => {
      expect(resolveTaskSpec(locally)).toMatchObject({ weighting: { kind: "uniform" } });
      const withNoise = (noiseMultiplier: number, maxEpsilon = 8) => ({
        ...locally,
        privacy: { ...local, noiseMultiplier, maxEpsilon },
      });
      expect(onlyFault(withNoise(0.5))).toMatch(
        /^privacy\.noiseMultiplier is 0\.5: one update would cost epsilon 9\.997 at delta 0\.00001, above privacy\.maxEpsilon of 8/,
      );
      expect(onlyFault({ ...withNoise(1e10), clippingNorm: 1e38 })).toMatch(/does not fit float32/);
      expect(onlyFault({ ...locally, clippingNorm: 1e-45 })).toMatch(/does not fit float32/);
    });
  });

  test("[TS12] a delta that allows to give a client away is refused", () => {
    const sampler = { kind: "poisson", samplingRate: 0.1, population: 1000 };
    const withDelta = (delta: number) => ({
      ...privately,
      sampler,
      privacy: { ...central, delta },
    });
    expect(onlyFault(withDelta(1e-3))).toMatch(
      /^privacy\.delta is 0\.001, not below 1 \/ sampler\.population of 1000/,
    );
    resolveTaskSpec(withDelta(9e-4));
  });

  test.each([
    [{ privacy: { ...central, noiseMultiplier: 1e-30 } }, /noiseMultiplier is 1e-30: sums of/],
    [{ clippingNorm: 1e-60 }, /noiseMultiplier is 1 and clippingNorm 1e-60/],
    [{ clippingNorm: 1e60 }, /noiseMultiplier is 1 and clippingNorm 1e\+60/],
    [
      {
        model: { tensors: [{ name: "w", shape: [2 ** 26] }] },
        privacy: { ...central, noiseMultiplier: 1000 },
      },
      /noiseMultiplier is 1000 and the model has 67108864 parameters/,
    ],
    [
      {
        privacy: { ...central, noiseMultiplier: 1e-5 },
        sampler: { kind: "poisson", samplingRate: 0.1, population: 100_000 },
      },
      /noiseMultiplier is 0\.00001: sums of 100000 clients/,
    ],
  ])(
    "[GR2] a task whose private sums could not be exact or useful is refused: %j",
    (change, why) => {
      const fault = onlyFault({ ...privately, ...change });
      expect(fault).toMatch(/^privacy\.noiseMultiplier cannot be granted: /);
      expect(fault).toMatch(why);
      resolveTaskSpec({ ...privately, ...change, privacy: { mechanism: "none" } });
    },
  );
});

/** Resolves, or throws the one error that says why: nothing else may come out. */
function resolveOrFaults(input: unknown): TaskSpec | Fault[] {
  try {
    return resolveTaskSpec(input);
  } catch (error) {
    expect(isFederatedError(error) && error.code).toBe("CONFIG_INVALID");
    return (error as FederatedError).details?.faults as Fault[];
  }
}

describe("any input", () => {
  const kinds = ["all", "uniform", "poisson", "sgd", "adam", "central", "federated", "none"];
  const leaf = fc.oneof(
    fc.constant(undefined),
    fc.constantFrom<unknown>(null, 0, -1, 0.5, 3, Number.NaN, "", [], {}, ...kinds),
    fc.anything({ maxDepth: 1 }),
  );
  const part = fc.oneof(
    leaf,
    fc.record({
      kind: fc.constantFrom(...kinds),
      mechanism: fc.constantFrom(...kinds),
      optimizer: leaf,
      cohortSize: leaf,
      population: leaf,
      tensors: leaf,
      target: leaf,
    }),
    fc.dictionary(fc.constantFrom("kind", "optimizer", "seed", "minClients", "cohortSize"), leaf),
  );
  const task = fc.oneof(
    fc.anything(),
    fc.dictionary(
      fc.constantFrom(...Object.keys(resolveTaskSpec(privately)), "__proto__", "x"),
      part,
    ),
  );

  test("[TS13] whatever is sent as a task gives a task or its faults, never another error", () => {
    fc.assert(
      fc.property(task, (input) => {
        const result = resolveOrFaults(input);
        if (Array.isArray(result)) expect(result.length).toBeGreaterThan(0);
        else expect(resolveTaskSpec(result)).toEqual(result);
      }),
      { numRuns: 500 },
    );
  });

  test("[TS14] defaults alone never contradict each other, whatever the sampler", () => {
    const sampler = fc.oneof(
      fc.record({
        kind: fc.constant("uniform"),
        cohortSize: fc.integer({ min: 1, max: 10_000 }),
        overSelection: fc.double({ min: 0, max: 4, noNaN: true }),
      }),
      fc.record({
        kind: fc.constant("poisson"),
        samplingRate: fc.double({ min: 1e-9, max: 1, noNaN: true }),
        population: fc.integer({ min: 1, max: 100_000 }),
      }),
    );
    fc.assert(
      fc.property(sampler, (sampler) => {
        const { schedule } = resolveTaskSpec({ ...least, sampler });
        expect(schedule.minReports).toBeGreaterThanOrEqual(1);
        expect(schedule.minReports).toBeLessThanOrEqual(schedule.minClients);
      }),
    );
  });
});
