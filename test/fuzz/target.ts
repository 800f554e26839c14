/** What is fuzzed: one decoder or parser, the inputs it is fed, and what must hold of whatever it accepts. */

import { isFederatedError } from "@tributary/protocol";
import fc from "fast-check";

export interface FuzzTarget {
  readonly name: string;
  /** Cases of this target among those of all; slow ones get fewer. */
  readonly share: number;
  /** One input on its own, as a regression vector gives it. */
  readonly attempt: (input: never) => boolean | Promise<boolean>;
  /** One case; throws where the promise is broken. */
  readonly property: fc.IAsyncPropertyWithHooks<unknown> | fc.IPropertyWithHooks<unknown>;
}

/** Cases so far, how many of them were accepted, and the slowest. */
export interface FuzzCounts {
  cases: number;
  accepted: number;
  slowestMs: number;
}

/** Longest time that one case may take: far above what any takes, far below what a peer would call hanging. */
export const CASE_LIMIT_MS = 2_000;

/** Inputs of one kind and what is done with each. `try` returns whether it was accepted. */
export function target<Input>(
  name: string,
  inputs: fc.Arbitrary<Input>,
  attempt: (input: Input) => boolean | Promise<boolean>,
  options: { readonly share?: number } = {},
): { readonly counts: FuzzCounts } & FuzzTarget {
  const counts: FuzzCounts = { cases: 0, accepted: 0, slowestMs: 0 };
  const property = fc.asyncProperty(inputs, async (input) => {
    const begun = performance.now();
    const outcome = attempt(input);
    const accepted = typeof outcome === "boolean" ? outcome : await outcome;
    const tookMs = performance.now() - begun;
    counts.cases += 1;
    if (accepted) counts.accepted += 1;
    counts.slowestMs = Math.max(counts.slowestMs, tookMs);
    if (tookMs > CASE_LIMIT_MS) throw new Error(`one case took ${tookMs} ms`);
  });
  return { name, share: options.share ?? 1, attempt, property, counts };
}

/** What a decoder gave, or undefined where it refused with a code. Any other error is a crash. */
export function accept<Value>(decode: () => Value): { readonly value: Value } | undefined {
  try {
    return { value: decode() };
  } catch (error) {
    assertRefusal(error);
    return undefined;
  }
}

export async function acceptAsync<Value>(
  decode: () => Promise<Value>,
): Promise<{ readonly value: Value } | undefined> {
  try {
    return { value: await decode() };
  } catch (error) {
    assertRefusal(error);
    return undefined;
  }
}

function assertRefusal(error: unknown): void {
  if (!isFederatedError(error)) throw new Error("not a coded error", { cause: error });
  if (error.code === "INTERNAL") throw new Error("INTERNAL is no refusal", { cause: error });
}

/** @throws Error saying what does not hold */
export function hold(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(what);
}
