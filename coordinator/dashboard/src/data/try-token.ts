/** Is a token the viewer's or the operator's? Whoever may read without one is not refused for a wrong one. */

import { isFederatedError, routes } from "@tributary/protocol";

import type { Api } from "./api.ts";
import type { Session } from "./session.ts";

/**
 * Keeps the token if a route that asks everybody for a role takes it; otherwise the session stays as it was.
 * @returns whether it is kept
 * @throws FederatedError for anything but a refusal: then nothing is known of it
 */
export async function tryToken(
  { api, session }: { readonly api: Pick<Api, "getJson">; readonly session: Session },
  token: string,
): Promise<boolean> {
  const before = session.token.peek();
  session.signIn(token);
  try {
    await api.getJson(`${routes.audit.path()}?limit=1`);
    return true;
  } catch (error) {
    if (before === undefined) session.signOut();
    else session.signIn(before);
    const refused =
      isFederatedError(error) && ["FORBIDDEN", "UNAUTHENTICATED"].includes(error.code);
    if (refused) return false;
    throw error;
  }
}
