/** What an engine tells while a simulation runs: rounds that have ended, and what went wrong. */

import type { RoundResource } from "@tributary/protocol";

import type { DomainEvent, Logger } from "../ports.ts";

export interface Watch {
  readonly logger: Logger;
  emit(event: DomainEvent): void;
  /** Rounds that have ended since it was asked last, oldest first. */
  ended(): readonly RoundResource[];
  /** Each once, in order of appearance. */
  warnings(): readonly string[];
}

/** Different warnings of one simulation; it repeats itself before. */
const MOST_WARNINGS = 20;

export function createWatch(): Watch {
  let ended: RoundResource[] = [];
  const warnings = new Set<string>();
  const warn = (fields: object, message: string) => {
    const cause = "error" in fields && fields.error instanceof Error ? fields.error : undefined;
    if (warnings.size < MOST_WARNINGS) {
      warnings.add(cause === undefined ? message : `${message}: ${cause.message}`);
    }
  };
  return {
    logger: {
      debug: () => {},
      info: () => {},
      // That rounds are abandoned is in the report, with its reason.
      warn: (fields, message) => {
        if (!("roundId" in fields)) warn(fields, message);
      },
      error: warn,
    },
    emit: (event) => {
      if (event.type !== "round:phaseChanged") return;
      const { phase } = event.data;
      if (phase === "committed" || phase === "abandoned") ended.push(event.data);
    },
    ended: () => {
      if (ended.length === 0) return [];
      const told = ended;
      ended = [];
      return told;
    },
    warnings: () => [...warnings],
  };
}
