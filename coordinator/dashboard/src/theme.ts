/** Light or dark: the system's choice until the reader makes one, which is kept. */

import type { ReadonlySignal } from "@preact/signals";
import { computed, signal } from "@preact/signals";

export type Theme = "light" | "dark";

export interface ThemeChoice {
  /** What is shown now. */
  readonly theme: ReadonlySignal<Theme>;
  toggle(): void;
  /** The colour of a token (`--series-1`) as it is now, for what is drawn on a canvas. */
  colour(token: `--${string}`): string;
}

const KEY = "tributary-theme";
const asTheme = (value: string | null | undefined): Theme | undefined =>
  value === "light" || value === "dark" ? value : undefined;

/** @param storage where the choice is kept (`localStorage`), where there is one */
export function createTheme(target: Window, storage: Storage | undefined): ThemeChoice {
  const { documentElement: root } = target.document;
  const prefersDark = target.matchMedia("(prefers-color-scheme: dark)");
  const system = signal<Theme>(prefersDark.matches ? "dark" : "light");
  const chosen = signal(asTheme(storage?.getItem(KEY)));
  const theme = computed(() => chosen.value ?? system.value);
  const show = () => {
    if (chosen.value !== undefined) root.dataset.theme = chosen.value;
  };
  prefersDark.addEventListener("change", ({ matches }) => {
    system.value = matches ? "dark" : "light";
  });
  show();
  return {
    theme,
    toggle: () => {
      const next = theme.value === "dark" ? "light" : "dark";
      chosen.value = next;
      show();
      try {
        storage?.setItem(KEY, next);
      } catch {
        // Not kept, then.
      }
    },
    colour: (token) => {
      // A token may depend on the theme; only a property of an element has it worked out.
      const probe = target.document.createElement("span");
      probe.style.color = `var(${token})`;
      root.append(probe);
      const { color } = target.getComputedStyle(probe);
      probe.remove();
      return color;
    },
  };
}
