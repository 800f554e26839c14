/** The frame of every page: skip link, header, banners, the page of the route. */

import { useComputed, useSignalEffect } from "@preact/signals";
import { useRef } from "preact/hooks";

import { useApp } from "../app.ts";
import { pageOf } from "../pages/registry.ts";
import { Banner } from "./banner.tsx";
import { Header } from "./header.tsx";
import { SignIn } from "./sign-in.tsx";
import { Unreached } from "./unreached.tsx";

export function Shell() {
  const { route, store } = useApp();
  const main = useRef<HTMLElement>(null);
  const seen = useRef(route.peek());

  // A new page begins at its top, for eyes and for screen readers.
  useSignalEffect(() => {
    const { title } = pageOf(route.value);
    document.title = `${title} · Tributary`;
    const before = seen.current;
    seen.current = route.value;
    if (before === route.value) return;
    const moved = before.page !== route.value.page || addressOf(before) !== addressOf(route.value);
    if (!moved) return;
    window.scrollTo(0, 0);
    main.current?.focus({ preventScroll: true });
  });

  return (
    <>
      <a
        class="skip-link"
        href="#main"
        onClick={(event) => {
          event.preventDefault();
          main.current?.focus();
        }}
      >
        Skip to the content
      </a>
      <Header />
      <Banner />
      <main class="main" id="main" ref={main} tabIndex={-1}>
        <Content store={store} />
      </main>
    </>
  );
}

/** A tab of a task is no page of its own: the reader stays where it is. */
const addressOf = (route: ReturnType<typeof useApp>["route"]["value"]): string =>
  route.page === "task" ? route.taskId : route.page;

function Content({ store }: Pick<ReturnType<typeof useApp>, "store">) {
  const { route } = useApp();
  // Connection and load change often; only what they mean for the whole page is followed here.
  const instead = useComputed(() => {
    const connection = store.connection.value;
    if (connection.kind === "refused") {
      return connection.fault.code === "UNAUTHENTICATED" || connection.fault.code === "FORBIDDEN"
        ? "sign-in"
        : "unreached";
    }
    if (store.tasks.value !== undefined) return undefined;
    if (connection.kind === "lost" || store.loading.value.kind === "failed") return "unreached";
    return undefined;
  });
  if (instead.value === "sign-in") return <SignIn />;
  const { Page, offline } = pageOf(route.value);
  if (instead.value === "unreached" && offline !== true) return <Unreached />;
  return <Page />;
}
