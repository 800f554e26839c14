/** Asks for a token where reading needs one. */

import { useApp } from "../app.ts";
import { Icon } from "../ui/icon.tsx";
import type { TokenFormProps } from "../ui/token-form.tsx";
import { TokenForm } from "../ui/token-form.tsx";

/** In place of every page that the coordinator does not show without a token, or with this one. */
export function SignIn() {
  const { session, store } = useApp();
  return (
    <SignInForm
      title="This coordinator asks who you are"
      {...(session.token.value === undefined
        ? {}
        : { fault: "The coordinator does not know this token, or it has run out." })}
      onToken={async (token) => {
        session.signIn(token);
        store.restart();
        return undefined;
      }}
    />
  );
}

export interface SignInFormProps extends Pick<TokenFormProps, "fault" | "onToken"> {
  readonly title: string;
}

export function SignInForm({ title, ...form }: SignInFormProps) {
  return (
    <div class="state sign-in">
      <Icon name="key" />
      <h1>{title}</h1>
      <p class="soft">
        With the viewer’s token you see tasks, rounds and models. With the operator’s you also see
        what is kept from others to protect the clients, and may steer tasks.
      </p>
      <TokenForm {...form}>
        {(isBusy) => (
          <button type="submit" class="button button-primary" disabled={isBusy}>
            Show the dashboard
          </button>
        )}
      </TokenForm>
    </div>
  );
}
