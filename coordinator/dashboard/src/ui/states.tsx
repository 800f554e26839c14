/** What stands where data would: loading, nothing there, a fault, withheld. */

import type { FederatedError as Fault } from "@tributary/protocol";
import type { ComponentChildren } from "preact";

import { useApp } from "../app.ts";
import { WITHHELD } from "../model/words.ts";
import { hrefs } from "../route.ts";
import type { IconName } from "./icon.tsx";
import { Icon } from "./icon.tsx";

/** Grey shapes of what is on its way. Screen readers are told once. */
export function Skeleton({ lines = 3, label = "Loading" }: { lines?: number; label?: string }) {
  return (
    <div role="status" class="panel">
      <span class="hidden-visually">{label}</span>
      {Array.from({ length: lines }, (_, i) => (
        <span key={i} class={i % 3 === 2 ? "skeleton skeleton-short" : "skeleton"} />
      ))}
    </div>
  );
}

export interface EmptyProps {
  readonly title: string;
  /** The only thing on its page, whose heading it has. */
  readonly whole?: boolean;
  readonly icon?: IconName;
  readonly children?: ComponentChildren;
}

export function Empty({ title, whole = false, icon = "inbox", children }: EmptyProps) {
  return (
    <div class="state">
      <Icon name={icon} />
      {whole ? <h1>{title}</h1> : <h2>{title}</h2>}
      {children}
    </div>
  );
}

export interface FaultStateProps {
  /** What did not work, from the reader's side: "The rounds could not be loaded". */
  readonly title: string;
  readonly fault: Fault;
  /** The only thing on its page, whose heading it has. */
  readonly whole?: boolean;
  readonly onRetry?: () => void;
  readonly children?: ComponentChildren;
}

export function FaultState({ title, fault, whole = false, onRetry, children }: FaultStateProps) {
  return (
    <div class="state state-bad" role="alert">
      <Icon name="warning" />
      {whole ? <h1>{title}</h1> : <h2>{title}</h2>}
      <p>
        {sentence(fault.message)}{" "}
        <span class="soft nowrap">
          Code <code>{fault.code}</code>
        </span>
      </p>
      {children}
      {onRetry !== undefined && (
        <button type="button" class="button" onClick={onRetry}>
          Try again
        </button>
      )}
    </div>
  );
}

/** Messages of faults begin small and end without a stop. */
export function sentence(message: string): string {
  const trimmed = message.trim();
  const stop = /[.!?…]$/.test(trimmed) ? "" : ".";
  return `${trimmed.charAt(0).toUpperCase()}${trimmed.slice(1)}${stop}`;
}

/** In place of numbers that are the operator's alone. */
export function Withheld({ children }: { readonly children?: ComponentChildren }) {
  const { session } = useApp();
  return (
    <p class="note">
      <Icon name="lock" />
      <span>
        {children ?? WITHHELD}
        {session.token.value === undefined && (
          <>
            {" "}
            <a href={hrefs.signIn}>Sign in with it</a>
          </>
        )}
      </span>
    </p>
  );
}
