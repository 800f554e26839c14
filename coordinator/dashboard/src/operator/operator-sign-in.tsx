/** Takes the operator's token where what is seen needs none, or another one. */

import { useSignal } from "@preact/signals";
import { useId } from "preact/hooks";

import { useApp } from "../app.ts";
import { asFault } from "../data/api.ts";
import { tryToken } from "../data/try-token.ts";
import { Dialog } from "../ui/dialog.tsx";
import { Icon } from "../ui/icon.tsx";
import { sentence } from "../ui/states.tsx";

export function OperatorSignIn() {
  const app = useApp();
  const asking = useSignal(false);
  const text = useSignal("");
  const busy = useSignal(false);
  const wrong = useSignal<string | undefined>(undefined);
  const id = useId();
  const use = async (token: string) => {
    if (busy.peek()) return;
    busy.value = true;
    try {
      if (await tryToken(app, token)) {
        asking.value = false;
        text.value = "";
        app.store.restart();
      } else wrong.value = "The coordinator does not know this token.";
    } catch (error) {
      wrong.value = sentence(asFault(error).message);
    }
    busy.value = false;
  };
  return (
    <>
      <button
        type="button"
        class="button"
        onClick={() => {
          wrong.value = undefined;
          asking.value = true;
        }}
      >
        <Icon name="key" />
        Use the operator’s token
      </button>
      {asking.value && (
        <Dialog title="Operator’s token" onClose={() => (asking.value = false)}>
          <form
            class="dialog-form"
            onSubmit={(event) => {
              event.preventDefault();
              const token = text.value.trim();
              if (token === "") return;
              void use(token);
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
                aria-invalid={wrong.value !== undefined}
                aria-describedby={`${id}-hint`}
                value={text}
                onInput={(event) => (text.value = event.currentTarget.value)}
              />
              <p id={`${id}-hint`} class="small soft">
                {wrong.value !== undefined && (
                  <span class="error-text" role="alert">
                    {wrong}{" "}
                  </span>
                )}
                Kept in this tab until it is closed, and sent to nobody else.
              </p>
            </div>
            <div class="row">
              <button type="submit" class="button button-primary" disabled={busy.value}>
                Use it
              </button>
              <button type="button" class="button" onClick={() => (asking.value = false)}>
                Leave it
              </button>
            </div>
          </form>
        </Dialog>
      )}
    </>
  );
}
