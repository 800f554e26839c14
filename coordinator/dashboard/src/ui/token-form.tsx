/** The form that takes a token, wherever one is asked for. It goes to the tab's own storage and into no address. */

import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";

import { asFault } from "../data/api.ts";
import { sentence } from "./states.tsx";

export interface TokenFormProps {
  readonly class?: string;
  /** What was wrong with the token before. */
  readonly fault?: string;
  /** @returns what is wrong with the token, in a sentence; undefined where nothing is */
  readonly onToken: (token: string) => Promise<string | undefined>;
  /** The buttons. */
  readonly children: (isBusy: boolean) => ComponentChildren;
}

export function TokenForm({ class: className, fault, onToken, children }: TokenFormProps) {
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
    <form
      {...(className === undefined ? {} : { class: className })}
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
      {children(busy.value)}
    </form>
  );
}
