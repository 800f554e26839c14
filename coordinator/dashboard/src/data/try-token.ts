/** Is a token the viewer's or the operator's? Whoever may read without one is not refused for a wrong one. */

import { isFederatedError, routes } from "@tributary/protocol";

import type { Api } from "./api.ts";
import type { Session } from "./session.ts";

/** As long as an honest answer may take. */
const ANSWER_MS = 30_000;

/**
 * Keeps the token if a route that asks everybody for a role takes it. Until then the session stays as it is, and so
 * does what the page shows.
 * @returns whether it is kept
 * @throws FederatedError for anything but a refusal: then nothing is known of it
 */
export async function tryToken(
  { api, session }: { readonly api: Pick<Api, "open">; readonly session: Session },
  token: string,
): Promise<boolean> {
  try {
    const answer = await api.open(`${routes.audit.path()}?limit=1`, {
      headers: { accept: "application/json", authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    await answer.body?.cancel();
  } catch (error) {
    const refused =
      isFederatedError(error) && ["FORBIDDEN", "UNAUTHENTICATED"].includes(error.code);
    if (refused) return false;
    throw error;
  }
  session.signIn(token);
  return true;
}
