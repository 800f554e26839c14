/** Name, places to go, state of the connection, theme and session. */

import { useComputed } from "@preact/signals";

import { useApp } from "../app.ts";
import { navigation } from "../pages/registry.ts";
import { hrefs } from "../route.ts";
import { Icon, Mark } from "../ui/icon.tsx";

export function Header() {
  const { route, theme, session } = useApp();
  return (
    <header class="shell-header">
      <div class="shell-bar">
        <a class="wordmark" href={hrefs.overview}>
          <Mark />
          Tributary
        </a>
        <nav class="shell-nav" aria-label="Pages">
          <ul>
            {navigation.map(({ title, href, pages }) => (
              <li key={href}>
                <a href={href} aria-current={pages.includes(route.value.page) ? "page" : undefined}>
                  {title}
                </a>
              </li>
            ))}
          </ul>
        </nav>
        <div class="shell-tools">
          <LinkState />
          <button
            type="button"
            class="button button-quiet button-icon"
            aria-label={theme.theme.value === "dark" ? "Use the light theme" : "Use the dark theme"}
            onClick={theme.toggle}
          >
            <Icon name={theme.theme.value === "dark" ? "sun" : "moon"} />
          </button>
          {session.token.value === undefined ? <ToSignIn /> : <SignOut />}
        </div>
      </div>
    </header>
  );
}

function ToSignIn() {
  return (
    <a
      class="button button-quiet button-icon"
      href={hrefs.signIn}
      aria-label="Sign in with a token"
      title="Sign in with a token"
    >
      <Icon name="key" />
    </a>
  );
}

function SignOut() {
  const { session, store } = useApp();
  return (
    <button
      type="button"
      class="button button-quiet button-icon"
      aria-label="Forget the token of this tab"
      title="Forget the token of this tab"
      onClick={() => {
        session.signOut();
        store.restart();
      }}
    >
      <Icon name="exit" />
    </button>
  );
}

const LINK_WORDS = {
  live: ["dot dot-good", "Live"],
  connecting: ["dot", "Connecting"],
  lost: ["dot dot-bad", "Reconnecting"],
  refused: ["dot dot-warn", "Not signed in"],
  "not-ready": ["dot dot-warn", "Not ready"],
  "no-answer": ["dot dot-bad", "No answer"],
} as const;

function LinkState() {
  const { store, health } = useApp();
  const state = useComputed(() => {
    const { kind } = store.connection.value;
    const { alive, ready } = health.health.value;
    if (kind !== "live") return kind;
    if (alive === false) return "no-answer";
    return ready === false ? "not-ready" : kind;
  });
  const [dot, words] = LINK_WORDS[state.value];
  return (
    <a class="link-state" href={hrefs.health}>
      <span class={dot} aria-hidden="true" />
      <span>{words}</span>
      <span class="hidden-visually">, health of the service</span>
    </a>
  );
}
