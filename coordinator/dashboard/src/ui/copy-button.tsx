/** Copies a text that is too long to type. Where the browser gives no clipboard, there is no button. */

import { useSignal } from "@preact/signals";

import { Icon } from "./icon.tsx";

/** How long it says that it has copied. */
const SAID_MS = 2000;

export function CopyButton({ text, label }: { readonly text: string; readonly label: string }) {
  const copied = useSignal(false);
  // Only on pages of this machine or over TLS.
  if (!("clipboard" in navigator)) return null;
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      return;
    }
    copied.value = true;
    setTimeout(() => (copied.value = false), SAID_MS);
  };
  return (
    <>
      <button
        type="button"
        class="button-copy"
        aria-label={label}
        title={label}
        onClick={() => void copy()}
      >
        {copied.value ? <span aria-hidden="true">✓</span> : <Icon name="copy" />}
      </button>
      <span class="hidden-visually" role="status">
        {copied.value ? "Copied" : ""}
      </span>
    </>
  );
}
