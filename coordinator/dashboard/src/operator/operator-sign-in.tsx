/** Takes the operator's token where what is seen needs none, or another one. */

import { useSignal } from "@preact/signals";
import { useId } from "preact/hooks";

import { useApp } from "../app.ts";
import { Dialog } from "../ui/dialog.tsx";
import { Icon } from "../ui/icon.tsx";

export function OperatorSignIn() {
  const { session, store } = useApp();
  const asking = useSignal(false);
  const text = useSignal("");
  const id = useId();
  return (
    <>
      <button type="button" class="button" onClick={() => (asking.value = true)}>
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
              asking.value = false;
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
                aria-describedby={`${id}-hint`}
                value={text}
                onInput={(event) => (text.value = event.currentTarget.value)}
              />
              <p id={`${id}-hint`} class="small soft">
                Kept in this tab until it is closed, and sent to nobody else.
              </p>
            </div>
            <div class="row">
              <button type="submit" class="button button-primary">
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
