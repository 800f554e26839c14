/** What the demo says of its privacy budget. Every number is the monitoring API's. */

import type { PrivacyResource } from "@tributary/protocol";

export type Budget = Required<
  Pick<
    Extract<PrivacyResource, { readonly mechanism: "central" }>,
    "epsilon" | "delta" | "maxEpsilon" | "rounds" | "roundsLeft" | "statement"
  >
>;

/** Of the API's answer; undefined without privacy. The demo's cohorts have no cap, so what is left is always told. */
export function budgetOf(privacy: PrivacyResource): Budget | undefined {
  if (privacy.mechanism !== "central" || privacy.roundsLeft === undefined) return undefined;
  return { ...privacy, roundsLeft: privacy.roundsLeft };
}

/** Characters of a line: the narrowest terminal in use, less a margin. */
const LINE_WIDTH = 78;

/** Three decimals, rounded up: a promise is not improved by showing it. */
export function epsilonText(epsilon: number): string {
  // A hair is forgiven, which is what binary fractions make of a number with three decimals.
  return (Math.ceil(epsilon * 1000 - 1e-9) / 1000).toFixed(3);
}

/** Before training: what may be spent, on whom, and the promise in words. */
export function openingText(budget: Budget, clients: number): string {
  const { maxEpsilon, delta, rounds, roundsLeft } = budget;
  const before = rounds === 0 ? "" : `, ${rounds} rounds of it spent already`;
  return [
    wrapped(
      `Privacy budget: epsilon ${maxEpsilon} at delta ${delta} for each of ${clients} clients${before}. ` +
        `It lasts for ${roundsLeft} rounds; training ends before the one that would exceed it.`,
    ),
    "",
    indented(budget.statement),
  ].join("\n");
}

/** After training: what was spent, and the promise that the published models carry. */
export function closingText(budget: Budget): string {
  const { epsilon, maxEpsilon, delta, rounds, roundsLeft } = budget;
  const spent = `${rounds} rounds cost epsilon ${epsilonText(epsilon)} of ${maxEpsilon} at delta ${delta}`;
  const summary =
    roundsLeft === 0
      ? `The budget is spent: ${spent}, and one more would exceed it.`
      : `Budget: ${spent}, and ${roundsLeft} more would fit.`;
  return `${wrapped(summary)}\n\n${indented(budget.statement)}`;
}

const indented = (text: string) => wrapped(text, "  ");

/** Breaks a text between its words. A word longer than a line gets a line of its own. */
export function wrapped(text: string, indent = ""): string {
  const lines: string[] = [];
  let line = indent;
  for (const word of text.split(/\s+/)) {
    const longer = line === indent ? indent + word : `${line} ${word}`;
    if (longer.length > LINE_WIDTH && line !== indent) {
      lines.push(line);
      line = indent + word;
    } else line = longer;
  }
  return [...lines, line].join("\n");
}
