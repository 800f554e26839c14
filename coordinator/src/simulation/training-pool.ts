/**
 * Threads that train, soonest due first, and only a little ahead of what was asked for: results wait here until their
 * time has come, so that their number must not grow with the clients. Which thread trains whom, and when, shows in no
 * result.
 */

import type { Evaluation } from "@tributary/protocol";
import { FederatedError } from "@tributary/protocol";

import type { Thread } from "../thread.ts";
import { openThread } from "../thread.ts";
import type { Due, DueQueue } from "./due-queue.ts";
import { createDueQueue } from "./due-queue.ts";
import type { PopulationSettings } from "./population.ts";
import { makePopulation } from "./population.ts";
import type { PopulationSource } from "./population.ts";
import type { TrainingJob } from "./train-client.ts";
import { createTrainees } from "./trainee.ts";
import type {
  Failure,
  PopulationFacts,
  PopulationOrigin,
  Trained,
  TrainingAnswer,
  TrainingQuestion,
} from "./training-messages.ts";

export interface Training {
  /** What became of it; begins now, if it has not begun. @throws FederatedError when the threads have failed */
  result(): Promise<Trained | Failure>;
  /** Nobody will ask any more. */
  drop(): void;
}

export interface TrainingPool {
  readonly facts: PopulationFacts;
  /** @param dueMs when the result will be asked for, in virtual time: what comes first is trained first */
  train(job: TrainingJob, dueMs: number): Training;
  /** @throws FederatedError, or what the evaluator threw */
  evaluate(weights: Float32Array): Promise<Evaluation>;
  /** Trainings that were done, also those that nobody wanted any more. */
  trained(): number;
  /** Ends the threads, whatever they do; what is asked for rejects with `reason`. */
  close(reason?: Error): Promise<void>;
}

/** Memory of weights, where threads can share it. */
export function sharedWeights(weights: Float32Array): Float32Array<SharedArrayBuffer> {
  const shared = new Float32Array(new SharedArrayBuffer(weights.byteLength));
  shared.set(weights);
  return shared;
}

/** Results that wait for their time, for each thread: enough to keep it busy over a run of uneven ones. */
const AHEAD_PER_THREAD = 4;

/** Questions that lie with a thread: while one is answered, the next one is on its way. */
const ASKED_AT_ONCE = 2;

interface Work {
  readonly question: TrainingQuestion;
  readonly resolve: (answer: TrainingAnswer) => void;
  readonly reject: (error: unknown) => void;
  state: "waiting" | "running" | "done";
}

/**
 * Starts `threads` of them and makes the clients in each.
 * @throws FederatedError CONFIG_INVALID for clients that cannot be made, UNAVAILABLE for threads that do not start
 */
export async function openTrainingPool(
  origin: PopulationOrigin,
  settings: PopulationSettings,
  threads: number,
): Promise<TrainingPool> {
  // Standard output is the result's alone: authors' code prints beside it.
  const opened = Array.from({ length: threads }, () =>
    openThread<TrainingQuestion, TrainingAnswer>("training", import.meta.url, "stderr"),
  );
  const closeAll = async () => {
    await Promise.all(opened.map((thread) => thread.close()));
  };
  let facts: PopulationFacts | undefined;
  try {
    const made = await Promise.all(
      opened.map((thread) => askThread(thread, { kind: "make", origin, settings })),
    );
    for (const answer of made) {
      if (answer.kind === "failed") throw errorOf(answer);
      if (answer.kind === "made") facts ??= answer.facts;
    }
  } catch (error) {
    await closeAll();
    throw error;
  }
  if (facts === undefined) throw new RangeError("a pool needs a thread");
  return createPool(facts, opened, closeAll);
}

const askThread = async (
  thread: Thread<TrainingQuestion, TrainingAnswer>,
  question: TrainingQuestion,
) =>
  thread.ask(question).catch((cause: unknown) => {
    const reason =
      cause instanceof Error && cause.cause instanceof Error ? cause.cause.message : "";
    const message = `a thread that trains clients has ended${reason === "" ? "" : `: ${reason}`}`;
    throw new FederatedError("UNAVAILABLE", message, { cause });
  });

function createPool(
  facts: PopulationFacts,
  opened: readonly Thread<TrainingQuestion, TrainingAnswer>[],
  closeAll: () => Promise<void>,
): TrainingPool {
  const idle = Array.from({ length: ASKED_AT_ONCE }, () => opened).flat();
  const waiting: DueQueue<Work> = createDueQueue();
  /** Asked for before all that waits in order. */
  const urgent: Work[] = [];
  const most = AHEAD_PER_THREAD * opened.length;
  const unanswered = new Set<Work>();
  let failure: { readonly error: unknown } | undefined;
  /** Running, or done and not asked for yet. */
  let ahead = 0;
  let trained = 0;

  function fail(error: unknown): void {
    failure ??= { error };
    for (const work of unanswered) work.reject(error);
    unanswered.clear();
  }

  function next(): Work | undefined {
    for (let work = urgent.shift(); work !== undefined; work = urgent.shift()) {
      if (work.state === "waiting") return work;
    }
    return ahead < most ? waiting.take()?.item : undefined;
  }

  function run(): void {
    for (let thread = idle.pop(); thread !== undefined; thread = idle.pop()) {
      const work = next();
      if (work === undefined) {
        idle.push(thread);
        return;
      }
      const at = thread;
      work.state = "running";
      if (work.question.kind === "train") ahead += 1;
      askThread(at, work.question).then((answer) => {
        work.state = "done";
        if (work.question.kind === "train") trained += 1;
        unanswered.delete(work);
        idle.push(at);
        work.resolve(answer);
        run();
      }, fail);
    }
  }

  function begin(question: TrainingQuestion) {
    let work: Work | undefined;
    const answer = new Promise<TrainingAnswer>((resolve, reject) => {
      work = { question, resolve, reject, state: "waiting" };
    });
    // Whoever is dropped has nobody who hears of it.
    answer.catch(() => undefined);
    const begun = work as unknown as Work;
    if (failure === undefined) unanswered.add(begun);
    else begun.reject(failure.error);
    return { work: begun, answer };
  }

  return {
    facts,
    trained: () => trained,
    train: (job, dueMs) => {
      const { work, answer } = begin({ kind: "train", ...job });
      const due: Due<Work> = waiting.add(dueMs, work);
      let wanted = true;
      const leave = () => {
        if (!wanted) return;
        wanted = false;
        if (work.state === "waiting") {
          due.callOff();
          unanswered.delete(work);
        } else if (work.state === "done") ahead -= 1;
        else {
          const fall = () => {
            ahead -= 1;
            run();
          };
          answer.then(fall, fall);
        }
        run();
      };
      run();
      return {
        drop: leave,
        result: async () => {
          if (work.state === "waiting") {
            due.callOff();
            urgent.push(work);
            run();
          }
          const given = await answer;
          leave();
          if (given.kind === "trained" || given.kind === "failed") return given;
          throw new Error("a thread answered another question");
        },
      };
    },
    evaluate: async (weights) => {
      const { work, answer } = begin({ kind: "evaluate", weights: sharedWeights(weights) });
      urgent.push(work);
      run();
      const given = await answer;
      if (given.kind === "evaluated") return given.evaluation;
      throw given.kind === "failed"
        ? errorOf(given)
        : new Error("a thread answered another question");
    },
    close: async (reason = new FederatedError("ABORTED", "the simulation has ended")) => {
      fail(reason);
      await closeAll();
    },
  };
}

/** Clients of this thread, who train when they are asked for and not before. */
export async function openTrainingHere(
  source: PopulationSource,
  settings: PopulationSettings,
): Promise<TrainingPool> {
  const closing = new AbortController();
  const population = await makePopulation(source, settings);
  const { facts, answer } = createTrainees(population, settings, closing.signal);
  let trained = 0;
  return {
    facts,
    trained: () => trained,
    train: (job) => ({
      drop: () => {},
      result: async () => {
        closing.signal.throwIfAborted();
        const given = await answer({ kind: "train", ...job });
        closing.signal.throwIfAborted();
        trained += 1;
        if (given.kind === "trained" || given.kind === "failed") return given;
        throw new Error("clients answered another question");
      },
    }),
    evaluate: async (weights) => {
      const given = await answer({ kind: "evaluate", weights });
      if (given.kind === "evaluated") return given.evaluation;
      throw given.kind === "failed"
        ? errorOf(given)
        : new Error("clients answered another question");
    },
    close: async (reason) => {
      closing.abort(reason ?? new FederatedError("ABORTED", "the simulation has ended"));
      population.dispose?.();
    },
  };
}

export function errorOf({ code, message, details }: Failure): Error {
  if (code === undefined) return new Error(message);
  return new FederatedError(
    code as FederatedError["code"],
    message,
    details === undefined ? {} : { details },
  );
}
