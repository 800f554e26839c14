/** Takes a token where reading needs none: for what only its bearer may see and do. */

import { isFederatedError, routes } from "@tributary/protocol";

import { useApp } from "../app.ts";
import { hrefs } from "../route.ts";
import { SignInForm } from "../shell/sign-in.tsx";

export function SignInPage() {
  const { api, session, store } = useApp();
  /** Whoever may read without a token is not refused for a wrong one, so it is tried where it counts. */
  const check = async (token: string) => {
    const before = session.token.peek();
    session.signIn(token);
    try {
      await api.getJson(`${routes.audit.path()}?limit=1`);
    } catch (error) {
      if (before === undefined) session.signOut();
      else session.signIn(before);
      const refused =
        isFederatedError(error) && (error.code === "FORBIDDEN" || error.code === "UNAUTHENTICATED");
      if (!refused) throw error;
      return "The coordinator knows this neither as the viewer’s nor as the operator’s token.";
    }
    store.restart();
    location.hash = hrefs.overview;
    return undefined;
  };
  return <SignInForm title="Sign in with a token" onToken={check} />;
}
