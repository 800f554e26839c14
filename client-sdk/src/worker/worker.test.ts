import {
  createLayout,
  FederatedError,
  isFederatedError,
  type TrainingPlan,
} from "@tributary/protocol";
import { expect, test, vi } from "vitest";

import { startFakeWorker } from "../../../test/support/fake-worker.ts";
import { createDeferred } from "../deferred.ts";
import { createTrivialTrainer } from "../testing/trivial-trainer.ts";
import type { Predictor, Trainer, TrainingProgress } from "../trainer.ts";
import { connectWorker, serveWorker } from "./index.ts";

const layout = await createLayout([{ name: "w", shape: [4] }]);
const plan: TrainingPlan = {
  epochs: 2,
  batchSize: 8,
  learningRate: 0.1,
  optimizer: { kind: "sgd" },
  proximalMu: 0,
  evaluate: false,
  encoding: { kind: "float32" },
  compression: "none",
};
const request = (weights = new Float32Array(4)) => ({
  weights,
  layout,
  plan,
  signal: new AbortController().signal,
});

/** Multiplies what it is asked by the first weight. */
const scaling = (disposed: number[] = []): Predictor<number, number> => ({
  load: async ([factor = 0]) => ({
    predict: async (input) => input * factor,
    dispose: () => void disposed.push(factor),
  }),
});

const trainerOf = (train: Trainer["train"]): Trainer => ({ train });
const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => expect.fail("it should have failed"),
    (error: unknown) => error as Error,
  );

test("[WK1] training in a Worker gives what it gives here, and the weights sent stay the caller's", async () => {
  const sums = {
    numExamples: 3,
    lossSum: 1.5,
    truePositives: [1],
    falsePositives: [2],
    falseNegatives: [0],
  };
  const local: Trainer = { ...createTrivialTrainer({ step: 0.25 }), evaluate: async () => sums };
  using worker = startFakeWorker((scope) => serveWorker({ trainer: () => local }, scope));
  using connection = connectWorker(worker);
  const weights = new Float32Array([1, -2, 3e-39, 4]);
  const remote = await connection.trainer.train(request(weights));
  expect(remote).toEqual(await local.train(request(weights)));
  expect(weights).toEqual(new Float32Array([1, -2, 3e-39, 4]));
  expect(await connection.trainer.evaluate?.(request(weights))).toEqual(sums);
});

test("[WK1] a view into a larger buffer travels alone, and a trainer without a test split has no sums", async () => {
  const whole = new Float32Array(100).fill(7);
  using worker = startFakeWorker((scope) => {
    const trainer = trainerOf(async ({ weights }) => {
      expect(weights.buffer.byteLength).toBe(16);
      return { weights: whole.subarray(8, 12), numExamples: 1, metrics: {} };
    });
    serveWorker({ trainer: () => trainer }, scope);
  });
  using connection = connectWorker(worker);
  const { weights } = await connection.trainer.train(request(whole.subarray(4, 8)));
  expect(weights).toEqual(new Float32Array(4).fill(7));
  expect(weights.buffer.byteLength).toBe(16);
  expect(whole).toHaveLength(100);
  expect(await connection.trainer.evaluate?.(request())).toBeUndefined();
});

test("[WK2] the copy for the Worker and the trained weights move instead of being copied", async () => {
  let trained = new Float32Array();
  using worker = startFakeWorker((scope) => {
    const trainer = trainerOf(async ({ weights }) => {
      trained = weights.map((weight) => weight + 1);
      return { weights: trained, numExamples: 1, metrics: {} };
    });
    serveWorker({ trainer: () => trainer }, scope);
  });
  using connection = connectWorker(worker);
  const copy = new Float32Array([1, 2, 3, 4]);
  const weights = Object.assign(new Float32Array(4), { slice: () => copy });
  const result = await connection.trainer.train(request(weights));
  expect(result.weights).toEqual(new Float32Array([2, 3, 4, 5]));
  expect([copy.byteLength, trained.byteLength]).toEqual([0, 0]);
});

test("[WK3] progress is told now and then and at the end, and not at all when nobody listens", async () => {
  const reports = 10_000;
  const asked: boolean[] = [];
  using worker = startFakeWorker((scope) => {
    const trainer = trainerOf(async ({ weights, onProgress }) => {
      asked.push(onProgress !== undefined);
      for (let batch = 1; batch <= reports; batch++) {
        onProgress?.({ epoch: 1, epochs: 1, batch, batches: reports, examples: batch, loss: 1 });
      }
      return { weights, numExamples: 1, metrics: {} };
    });
    serveWorker({ trainer: () => trainer }, scope);
  });
  using connection = connectWorker(worker);
  const told: TrainingProgress[] = [];
  await connection.trainer.train({ ...request(), onProgress: (progress) => told.push(progress) });
  expect(told[0]?.batch).toBe(1);
  expect(told.at(-1)?.batch).toBe(reports);
  expect(told.length).toBeLessThan(reports / 10);
  await connection.trainer.train(request());
  expect(asked).toEqual([true, false]);
});

test("[WK4] an abort reaches the trainer, and the caller hears when the work has stopped", async () => {
  const stopped: string[] = [];
  using worker = startFakeWorker((scope) => {
    const trainer = trainerOf(
      ({ signal }) =>
        new Promise((_, reject) => {
          signal.addEventListener("abort", () => {
            stopped.push("trainer");
            reject(signal.reason as Error);
          });
        }),
    );
    serveWorker({ trainer: () => trainer }, scope);
  });
  using connection = connectWorker(worker);
  const calling = new AbortController();
  const training = connection.trainer.train({ ...request(), signal: calling.signal });
  // Another question is answered before: the training has begun.
  await connection.trainer.evaluate?.(request());
  calling.abort();
  expect(await failure(training)).toMatchObject({ code: "ABORTED" });
  expect(stopped).toEqual(["trainer"]);
});

test("[WK4] what was not sent yet is called off at once, and no listener is left on the signal", async () => {
  using worker = startFakeWorker();
  using connection = connectWorker(worker);
  const calling = new AbortController();
  const removed = vi.spyOn(calling.signal, "removeEventListener");
  const training = connection.trainer.train({ ...request(), signal: calling.signal });
  calling.abort();
  expect(await failure(training)).toMatchObject({ code: "ABORTED" });
  expect(removed).toHaveBeenCalledOnce();
  const late = connection.trainer.train({ ...request(), signal: calling.signal });
  expect(await failure(late)).toMatchObject({ code: "ABORTED" });
});

test("[WK5] a coded error arrives with code, message, retryable, details and cause", async () => {
  const error = new FederatedError("RATE_LIMITED", "slower, please", {
    retryAfterMs: 250,
    details: { limit: 3, odd: () => 1 },
    cause: new TypeError("too fast"),
  });
  using worker = startFakeWorker((scope) => {
    serveWorker({ trainer: () => trainerOf(() => Promise.reject(error)) }, scope);
  });
  using connection = connectWorker(worker);
  const arrived = await failure(connection.trainer.train(request()));
  expect(isFederatedError(arrived)).toBe(true);
  expect(arrived).toMatchObject({
    code: "RATE_LIMITED",
    message: "slower, please",
    retryable: true,
    retryAfterMs: 250,
    details: { limit: 3 },
    cause: { name: "TypeError", message: "too fast" },
  });
});

test("[WK5] an error without a code keeps its name and text; what is no error becomes one", async () => {
  const thrown: unknown[] = [new RangeError("out of it"), "just text", Object.create(null)];
  using worker = startFakeWorker((scope) => {
    const trainer = trainerOf(async () => {
      throw thrown.shift();
    });
    serveWorker({ trainer: () => trainer }, scope);
  });
  using connection = connectWorker(worker);
  const first = await failure(connection.trainer.train(request()));
  expect(first).toMatchObject({ name: "RangeError", message: "out of it" });
  expect(first.stack).toContain("worker.test");
  expect(isFederatedError(first)).toBe(false);
  expect((await failure(connection.trainer.train(request()))).message).toBe("just text");
  expect(await failure(connection.trainer.train(request()))).toBeInstanceOf(Error);
});

test("[WK5] a part that cannot be made fails the request, and the next one tries again", async () => {
  let tries = 0;
  using worker = startFakeWorker((scope) => {
    const trainer = async () => {
      if (++tries === 1) throw new FederatedError("UNAVAILABLE", "no backend works");
      return createTrivialTrainer();
    };
    serveWorker({ trainer }, scope);
  });
  using connection = connectWorker(worker);
  const error = await failure(connection.trainer.train(request()));
  expect(error).toMatchObject({ code: "UNAVAILABLE", message: "no backend works" });
  expect((await connection.trainer.train(request())).numExamples).toBe(1);
  await connection.trainer.train(request());
  expect(tries).toBe(2);
  const missing = await failure(connection.predictor.load(new Float32Array(4), layout));
  expect(missing).toMatchObject({ code: "CONFIG_INVALID" });
});

test("[WK6] a Worker that cannot start fails everything with its reason", async () => {
  using worker = startFakeWorker();
  const connection = connectWorker(worker);
  const training = failure(connection.trainer.train(request()));
  worker.fail("Uncaught SyntaxError: not a script");
  const error = await training;
  expect(error).toMatchObject({ code: "UNAVAILABLE", retryable: true });
  expect(error.message).toContain("not a script");
  expect(await connection.ended).toBe(error);
  expect(await failure(connection.trainer.train(request()))).toBe(error);
});

test("[WK6] a Worker that never calls serveWorker is given up after the time for its start", async () => {
  using worker = startFakeWorker();
  const connection = connectWorker(worker, { startTimeoutMs: 60 });
  const error = await failure(connection.trainer.train(request()));
  expect(error).toMatchObject({ code: "UNAVAILABLE" });
  expect(error.message).toMatch(/60 ms.*serveWorker/s);
});

test("[WK6] a Worker that begins to listen late is found, and does each thing once", async () => {
  const trainer = createTrivialTrainer();
  using worker = startFakeWorker();
  using connection = connectWorker(worker);
  const training = connection.trainer.train(request());
  await new Promise((resolve) => worker.scope.addEventListener("message", resolve));
  serveWorker({ trainer: () => trainer }, worker.scope);
  expect((await training).numExamples).toBe(1);
  expect(trainer.trainings).toBe(1);
});

test("[WK6] a Worker of another build is refused", async () => {
  using worker = startFakeWorker((scope) => {
    scope.addEventListener("message", ({ data }) => {
      (data as { port: MessagePort }).port.postMessage({
        kind: "welcome",
        protocol: 99,
        held: false,
      });
    });
  });
  using connection = connectWorker(worker);
  const error = await failure(connection.trainer.train(request()));
  expect(error).toMatchObject({ code: "CONFIG_INVALID" });
  expect(error.message).toMatch(/builds.*99/);
});

test("[WK7] a Worker that ends fails what runs and what comes later", async () => {
  using worker = startFakeWorker((scope) => {
    const trainer = trainerOf(() => new Promise(() => undefined));
    serveWorker({ trainer: () => trainer, predictor: () => scaling() }, scope);
  });
  const connection = connectWorker<number, number>(worker);
  const model = await connection.predictor.load(new Float32Array(4), layout);
  const training = failure(connection.trainer.train(request()));
  worker.end();
  expect(await training).toMatchObject({ code: "UNAVAILABLE", retryable: true });
  expect(await failure(model.predict(1))).toMatchObject({ code: "UNAVAILABLE" });
  expect(await connection.ended).toMatchObject({ code: "UNAVAILABLE" });
});

test("[WK7] a Worker that stops answering is given up; one that works for long is not", async () => {
  let release = (): void => undefined;
  using worker = startFakeWorker((scope) => {
    const trainer = trainerOf(async ({ weights }) => {
      await new Promise<void>((resolve) => (release = resolve));
      return { weights, numExamples: 1, metrics: {} };
    });
    serveWorker({ trainer: () => trainer }, scope);
  });
  const connection = connectWorker(worker, { silenceTimeoutMs: 80 });
  const training = connection.trainer.train(request());
  // More than would be a silence, had they no answers.
  await vi.waitFor(() => {
    expect(worker.heard.filter((kind) => kind === "ping").length).toBeGreaterThan(8);
  }, 10_000);
  release();
  expect((await training).numExamples).toBe(1);
  const second = failure(connection.trainer.train(request()));
  worker.hang();
  const error = await second;
  expect(error).toMatchObject({ code: "UNAVAILABLE" });
  expect(error.message).toContain("80 ms");
});

test("[WK8] requests overlap, and each gets its own answer", async () => {
  using worker = startFakeWorker((scope) => {
    const trainer = createTrivialTrainer({ step: 10 });
    serveWorker({ trainer: () => trainer, predictor: () => scaling() }, scope);
  });
  using connection = connectWorker<number, number>(worker);
  const trainings = [1, 2, 3].map((value) =>
    connection.trainer.train(request(new Float32Array(4).fill(value))),
  );
  const models = await Promise.all(
    [2, 3].map((factor) => connection.predictor.load(new Float32Array([factor]), layout)),
  );
  expect(await Promise.all(models.map((model) => model.predict(5)))).toEqual([10, 15]);
  const results = await Promise.all(trainings);
  expect(results.map(({ weights }) => weights[0])).toEqual([11, 12, 13]);
});

test("[WK8] connections to one Worker stand apart, each with parts made from its own setup", async () => {
  const made: string[] = [];
  using worker = startFakeWorker((scope) => {
    const trainer = ({ task, step }: { task: string; step: number }) => {
      made.push(task);
      return createTrivialTrainer({ step });
    };
    serveWorker({ trainer }, scope);
  });
  using first = connectWorker(worker, { setup: { task: "a", step: 1 } });
  using second = connectWorker(worker, { setup: { task: "b", step: 2 } });
  const results = [await first.trainer.train(request()), await second.trainer.train(request())];
  expect(results.map(({ weights }) => weights[0])).toEqual([1, 2]);
  first.close();
  expect((await second.trainer.train(request())).weights[0]).toBe(2);
  expect(made).toEqual(["a", "b"]);
});

test("[WK9] what cannot be cloned is refused with a code, either way, and nothing else suffers", async () => {
  using worker = startFakeWorker((scope) => {
    const predictor: Predictor<unknown, unknown> = {
      load: async () => ({ predict: async () => () => 1, dispose: () => undefined }),
    };
    const trainer = createTrivialTrainer();
    serveWorker({ trainer: () => trainer, predictor: () => predictor }, scope);
  });
  using connection = connectWorker(worker);
  const model = await connection.predictor.load(new Float32Array(4), layout);
  const error = await failure(model.predict(() => 1));
  expect(error).toMatchObject({ code: "MALFORMED_MESSAGE" });
  expect(error.message).toContain("the input cannot be sent");
  expect((await failure(model.predict(1))).name).toBe("DataCloneError");
  expect((await connection.trainer.train(request())).numExamples).toBe(1);
  using refused = connectWorker(worker, { setup: () => 1 });
  expect(await failure(refused.trainer.train(request()))).toMatchObject({ code: "CONFIG_INVALID" });
});

test("[WK10] disposing a model or the trainer frees it in the Worker, once", async () => {
  const freed: unknown[] = [];
  const disposed: number[] = [];
  using worker = startFakeWorker((scope) => {
    const trainer = { ...createTrivialTrainer(), dispose: () => void freed.push("trainer") };
    serveWorker({ trainer: () => trainer, predictor: () => scaling(disposed) }, scope);
  });
  using connection = connectWorker<number, number>(worker);
  const { trainer, predictor } = connection;
  const first = await predictor.load(new Float32Array([2]), layout);
  const second = await predictor.load(new Float32Array([3]), layout);
  await trainer.train(request());
  first.dispose();
  first.dispose();
  trainer.dispose?.();
  trainer.dispose?.();
  expect(await failure(first.predict(1))).toMatchObject({ code: "ABORTED" });
  expect(await failure(trainer.train(request()))).toMatchObject({ code: "ABORTED" });
  expect(await second.predict(1)).toBe(3);
  expect(disposed).toEqual([2]);
  expect(freed).toEqual(["trainer"]);
});

test("[WK10] closing calls off what runs and frees everything in the Worker", async () => {
  const freed: unknown[] = [];
  const aborted = createDeferred<undefined>();
  const all = createDeferred<undefined>();
  using worker = startFakeWorker((scope) => {
    const trainer: Trainer = {
      train: ({ signal }) => {
        signal.addEventListener("abort", () => aborted.resolve(undefined));
        return new Promise(() => undefined);
      },
      dispose: () => {
        freed.push("trainer");
        all.resolve(undefined);
      },
    };
    serveWorker({ trainer: () => trainer, predictor: () => scaling(freed as number[]) }, scope);
  });
  const connection = connectWorker<number, number>(worker);
  const training = failure(connection.trainer.train(request()));
  const model = await connection.predictor.load(new Float32Array([2]), layout);
  connection.close();
  expect(await training).toMatchObject({ code: "ABORTED" });
  expect(await failure(model.predict(1))).toMatchObject({ code: "ABORTED" });
  expect(await connection.ended).toBeUndefined();
  await aborted.promise;
  await all.promise;
  expect(freed).toEqual([2, "trainer"]);
});

test("[WK11] the app's own messages and the SDK's stay apart", async () => {
  const heard: unknown[] = [];
  using worker = startFakeWorker((scope) => {
    serveWorker({ trainer: () => createTrivialTrainer() }, scope);
    scope.addEventListener("message", ({ data }) => heard.push(data));
  });
  using connection = connectWorker(worker);
  worker.say("hello");
  worker.say(null);
  worker.say({ kind: "train", id: 1 });
  await connection.trainer.train(request());
  expect(heard).toEqual(["hello", null, { kind: "train", id: 1 }]);
});
