/** Answers to one message that are no failure of the engine. */

import type { ErrorCode } from "@tributary/protocol";
import { FederatedError } from "@tributary/protocol";

/** Carries a coded error out of an engine's job without breaking the engine. */
export class Refusal extends Error {
  readonly error: FederatedError;
  constructor(code: ErrorCode, message: string, details?: Readonly<Record<string, unknown>>) {
    super(message);
    this.error = new FederatedError(code, message, details === undefined ? {} : { details });
  }

  static of(error: FederatedError): Refusal {
    return Object.assign(new Refusal(error.code, error.message), { error });
  }
}

const MESSAGES = {
  ROUND_CLOSED: (roundId: string) =>
    `round ${roundId} takes no more reports; check in for the next one`,
  NOT_IN_COHORT: (roundId: string) => `this client was not selected for round ${roundId}`,
  UPDATE_CONFLICT: (roundId: string) =>
    `another update of this client is already counted in round ${roundId}`,
} as const;

/** Why a round does not take what a client sent. */
export const roundRefusal = (code: keyof typeof MESSAGES, roundId: string): Refusal =>
  new Refusal(code, MESSAGES[code](roundId));
