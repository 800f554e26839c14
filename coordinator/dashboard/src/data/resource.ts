/** A value that is loaded when somebody first wants it, and again when it may have changed. */

import type { FederatedError as Fault } from "@tributary/protocol";
import type { ReadonlySignal } from "@preact/signals";
import { signal } from "@preact/signals";

import { asFault } from "./api.ts";

export interface ResourceState<T> {
  /** The last value that came, also while another is loading or has failed to. */
  readonly value: T | undefined;
  readonly loading: boolean;
  /** Of the last attempt. */
  readonly fault: Fault | undefined;
}

export interface Resource<T> {
  readonly state: ReadonlySignal<ResourceState<T>>;
  /** Loads it unless it is there or on its way. */
  want(): void;
  /** Loads it again if it was ever wanted; once more afterwards where it is on its way. */
  refresh(): void;
}

export function createResource<T>(load: () => Promise<T>): Resource<T> {
  const state = signal<ResourceState<T>>({ value: undefined, loading: false, fault: undefined });
  let wanted = false;
  let again = false;

  async function run(): Promise<void> {
    wanted = true;
    if (state.peek().loading) {
      again = true;
      return;
    }
    state.value = { ...state.peek(), loading: true };
    try {
      state.value = { value: await load(), loading: false, fault: undefined };
    } catch (error) {
      state.value = { value: state.peek().value, loading: false, fault: asFault(error) };
    }
    if (!again) return;
    again = false;
    await run();
  }

  return {
    state,
    want: () => {
      const { value, loading } = state.peek();
      if (value === undefined && !loading) void run();
    },
    refresh: () => {
      if (wanted) void run();
    },
  };
}
