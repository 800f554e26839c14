/** What page and Worker say to each other over a port of their own, and who owns the memory that travels. */

import type { EvaluationSums, Layout, TrainingPlan } from "@tributary/protocol";

import type { TrainingProgress, TrainingResult } from "../trainer.ts";
import type { SentError } from "./sent-error.ts";

/** Grows when these messages change: a page and a Worker out of two builds find out at once. */
export const WORKER_PROTOCOL = 1;

/**
 * The page's first word, to the Worker itself; everything else goes over the port. It is said again, with
 * another port, until the Worker answers: a Worker that still loads hears only what is said after it listens.
 */
export interface Knock {
  readonly tributaryWorker: number;
  readonly port: MessagePort;
  /** The lock for the Worker to hold as long as it lives, where there are locks. */
  readonly lifeline: string | undefined;
}

/** Weights that a request carries are a copy made for the Worker: its memory moves there and stays. */
interface Model {
  readonly weights: Float32Array;
  readonly layout: Layout;
}

/** What the page asks for, and what it gets. */
export interface Asks {
  readonly train: {
    readonly ask: Model & { readonly plan: TrainingPlan; readonly progress: boolean };
    /** The trained weights move to the page: the trainer made them for whoever asked. */
    readonly answer: TrainingResult;
  };
  readonly evaluate: { readonly ask: Model; readonly answer: EvaluationSums | undefined };
  /** The answer is what `predict` names the loaded model by. */
  readonly load: { readonly ask: Model; readonly answer: number };
  readonly predict: {
    readonly ask: { readonly model: number; readonly input: unknown };
    readonly answer: unknown;
  };
}

export type AskName = keyof Asks;
export type Answer<Name extends AskName> = Asks[Name]["answer"];

/** `id` counts up from 1 and is never used again. */
export type Ask<Name extends AskName = AskName> = {
  readonly [N in Name]: { readonly kind: N; readonly id: number } & Asks[N]["ask"];
}[Name];

export type ToWorker =
  | Ask
  /** Before every request, once. */
  | { readonly kind: "setup"; readonly setup: unknown }
  | { readonly kind: "abort"; readonly id: number }
  | { readonly kind: "disposeModel"; readonly model: number }
  | { readonly kind: "disposeTrainer" }
  | { readonly kind: "ping" }
  | { readonly kind: "close" };

export type ToPage =
  /** The answer to a knock; `held`: whoever gets the lifeline from now on knows that the Worker has ended. */
  | { readonly kind: "welcome"; readonly protocol: number; readonly held: boolean }
  | { readonly kind: "pong" }
  | { readonly kind: "progress"; readonly id: number; readonly progress: TrainingProgress }
  | { readonly kind: "answer"; readonly id: number; readonly value: Answer<AskName> }
  | { readonly kind: "fault"; readonly id: number; readonly error: SentError }
  /** Something arrived that could not be read, so its id is not known. */
  | { readonly kind: "unreadable" };

export function isKnock(value: unknown): value is Knock {
  return (
    typeof value === "object" &&
    value !== null &&
    "tributaryWorker" in value &&
    typeof value.tributaryWorker === "number" &&
    "port" in value
  );
}

/** A vector whose memory can move: it fills a buffer that nobody shares. Copies only where it does not. */
export function movable(vector: Float32Array): Float32Array<ArrayBuffer> {
  return vector.buffer instanceof ArrayBuffer && vector.byteLength === vector.buffer.byteLength
    ? (vector as Float32Array<ArrayBuffer>)
    : vector.slice();
}
