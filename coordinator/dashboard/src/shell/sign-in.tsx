/** Asks for a token where reading needs one. It goes into the tab's own storage and into no address. */

import { useSignal } from "@preact/signals";
import { useId } from "preact/hooks";

import { useApp } from "../app.ts";
import { Icon } from "../ui/icon.tsx";

export function SignIn() {
  const { session, store } = useApp();
  const id = useId();
  const text = useSignal("");
  const wasRefused = session.token.value !== undefined;
  const fault = wasRefused
    ? "The coordinator does not know this token, or it has run out."
    : undefined;
  return (
    <div class="state sign-in">
      <Icon name="key" />
      <h1>This coordinator asks who you are</h1>
      <p class="soft">
        With the viewer’s token you see tasks, rounds and models. With the operator’s you also see
        what is kept from others to protect the clients, and may steer tasks.
      </p>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          const token = text.value.trim();
          if (token === "") return;
          session.signIn(token);
          store.restart();
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
            aria-invalid={wasRefused}
            aria-describedby={`${id}-hint`}
            value={text}
            onInput={(event) => (text.value = event.currentTarget.value)}
          />
          <p id={`${id}-hint`} class="small">
            {fault !== undefined && (
              <span class="error-text" role="alert">
                {fault}{" "}
              </span>
            )}
            <span class="soft">Kept in this tab until it is closed, and sent to nobody else.</span>
          </p>
        </div>
        <button type="submit" class="button button-primary">
          Show the dashboard
        </button>
      </form>
    </div>
  );
}
