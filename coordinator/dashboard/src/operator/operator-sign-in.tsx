/** Takes the operator's token where what is seen needs none, or another one. */

import { useSignal } from "@preact/signals";

import { useApp } from "../app.ts";
import { tryToken } from "../data/try-token.ts";
import { Dialog } from "../ui/dialog.tsx";
import { Icon } from "../ui/icon.tsx";
import { TokenForm } from "../ui/token-form.tsx";

export function OperatorSignIn() {
  const app = useApp();
  const asking = useSignal(false);
  const leave = () => (asking.value = false);
  const onToken = async (token: string) => {
    if (!(await tryToken(app, token))) return "The coordinator does not know this token.";
    leave();
    app.store.restart();
    return undefined;
  };
  return (
    <>
      <button type="button" class="button" onClick={() => (asking.value = true)}>
        <Icon name="key" />
        Use the operator’s token
      </button>
      {asking.value && (
        <Dialog title="Operator’s token" onClose={leave}>
          <TokenForm class="dialog-form" onToken={onToken}>
            {(isBusy) => (
              <div class="row">
                <button type="submit" class="button button-primary" disabled={isBusy}>
                  Use it
                </button>
                <button type="button" class="button" onClick={leave}>
                  Leave it
                </button>
              </div>
            )}
          </TokenForm>
        </Dialog>
      )}
    </>
  );
}
