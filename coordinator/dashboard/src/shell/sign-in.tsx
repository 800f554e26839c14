/** Asks for a token where reading needs one. It goes into the tab's own storage and into no address. */

import { useSignal } from "@preact/signals";
import { useId } from "preact/hooks";

import { useApp } from "../app.ts";
import { asFault } from "../data/api.ts";
import { Icon } from "../ui/icon.tsx";
import { sentence } from "../ui/states.tsx";

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

export interface SignInFormProps {
  readonly title: string;
  /** What was wrong with the token before. */
  readonly fault?: string;
  /** @returns what is wrong with the token, in a sentence; undefined where nothing is */
  readonly onToken: (token: string) => Promise<string | undefined>;
}

export function SignInForm({ title, fault, onToken }: SignInFormProps) {
  const id = useId();
  const text = useSignal("");
  const busy = useSignal(false);
  const answer = useSignal<string | undefined>(undefined);
  const wrong = answer.value ?? fault;

  const submit = async () => {
    const token = text.peek().trim();
    if (token === "" || busy.peek()) return;
    busy.value = true;
    try {
      answer.value = await onToken(token);
    } catch (error) {
      answer.value = sentence(asFault(error).message);
    }
    busy.value = false;
  };

  return (
    <div class="state sign-in">
      <Icon name="key" />
      <h1>{title}</h1>
      <p class="soft">
        With the viewer’s token you see tasks, rounds and models. With the operator’s you also see
        what is kept from others to protect the clients, and may steer tasks.
      </p>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <div class="field">
          <label for={id}>Token</label>
          <input
            id={id}
            class="input mono"
            type="password"
            autocomplete="off"
            spellcheck={false}
            required
            aria-invalid={wrong !== undefined}
            aria-describedby={`${id}-hint`}
            value={text}
            onInput={(event) => (text.value = event.currentTarget.value)}
          />
          <p id={`${id}-hint`} class="small">
            {wrong !== undefined && (
              <span class="error-text" role="alert">
                {wrong}{" "}
              </span>
            )}
            <span class="soft">Kept in this tab until it is closed, and sent to nobody else.</span>
          </p>
        </div>
        <button type="submit" class="button button-primary" disabled={busy.value}>
          Show the dashboard
        </button>
      </form>
    </div>
  );
}
