/** A section of a page with its heading, and the key figures at the top of one. */

import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";

export interface PanelProps {
  readonly title: string;
  /** As wide as the page, where panels stand side by side. */
  readonly wide?: boolean;
  /** Beside the heading: a number, a filter, a button. */
  readonly aside?: ComponentChildren;
  readonly children: ComponentChildren;
}

export function Panel({ title, wide = false, aside, children }: PanelProps) {
  const id = useId();
  return (
    <section class={wide ? "panel panel-wide" : "panel"} aria-labelledby={id}>
      <div class="panel-head">
        <h2 id={id}>{title}</h2>
        {aside}
      </div>
      {children}
    </section>
  );
}

export function Figures({ children }: { readonly children: ComponentChildren }) {
  return <dl class="figures">{children}</dl>;
}

export interface FigureProps {
  readonly label: string;
  readonly value: ComponentChildren;
  /** A line below, smaller. */
  readonly note?: ComponentChildren;
}

export function Figure({ label, value, note }: FigureProps) {
  return (
    <div class="figure">
      <dt>{label}</dt>
      <dd>{value}</dd>
      {note !== undefined && <dd class="figure-note">{note}</dd>}
    </div>
  );
}
