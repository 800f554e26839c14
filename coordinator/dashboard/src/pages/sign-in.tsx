/** Takes a token where reading needs none: for what only its bearer may see and do. */

import { useApp } from "../app.ts";
import { tryToken } from "../data/try-token.ts";
import { hrefs } from "../route.ts";
import { SignInForm } from "../shell/sign-in.tsx";

export function SignInPage() {
  const app = useApp();
  const onToken = async (token: string) => {
    if (!(await tryToken(app, token))) {
      return "The coordinator knows this neither as the viewer’s nor as the operator’s token.";
    }
    app.store.restart();
    location.hash = hrefs.overview;
    return undefined;
  };
  return <SignInForm title="Sign in with a token" onToken={onToken} />;
}
