/**
 * May whoever looks steer tasks? The coordinator alone decides; here is only what is known of its decision, so that
 * nobody is offered what will be refused: numbers that are withheld, or an answer that refused.
 */

import type { FederatedError as Fault } from "@tributary/protocol";
import { signal } from "@preact/signals";

import type { App } from "../app.ts";

export interface Refusal {
  /** With which token it was refused; undefined for none. */
  readonly token: string | undefined;
  readonly fault: Fault;
}

const refusal = signal<Refusal | undefined>(undefined);

/** An action was answered with this: a refusal holds for everything until another token comes. */
export function noteFault({ session }: Pick<App, "session">, fault: Fault): void {
  if (fault.code !== "UNAUTHENTICATED" && fault.code !== "FORBIDDEN") return;
  refusal.value = { token: session.token.peek(), fault };
}

/** Why steering would be refused, as far as it is known; undefined where nothing speaks against it. */
export function reasonAgainst({
  session,
  store,
}: Pick<App, "session" | "store">): string | undefined {
  const token = session.token.value;
  const known = refusal.value;
  const wasRefused = known !== undefined && known.token === token;
  const isWithheld = store.tasks.value?.some(({ withheld }) => withheld.value) === true;
  if (!wasRefused && !isWithheld) return undefined;
  return token === undefined
    ? "Steering tasks needs the operator’s token."
    : "The token of this tab may look and not steer; that needs the operator’s.";
}
