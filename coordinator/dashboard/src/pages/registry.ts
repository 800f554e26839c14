/** The pages by their route. A new page gets a route in `route.ts` and a line here. */

import type { ComponentType } from "preact";

import type { Route } from "../route.ts";
import { hrefs } from "../route.ts";
import { EventsPage } from "./events.tsx";
import { HealthPage } from "./health.tsx";
import { NewTaskPage } from "./new-task.tsx";
import { NowherePage } from "./nowhere.tsx";
import { OverviewPage } from "./overview.tsx";
import { SignInPage } from "./sign-in.tsx";
import { TaskPage } from "./task.tsx";

export interface PageEntry {
  /** For the window's title. */
  readonly title: string;
  readonly Page: ComponentType;
  /** Says something also while the coordinator was never reached. */
  readonly offline?: true;
}

export function pageOf(route: Route): PageEntry {
  switch (route.page) {
    case "overview":
      return { title: "Tasks", Page: OverviewPage };
    case "task":
      return { title: route.taskId, Page: TaskPage };
    case "new-task":
      return { title: "New task", Page: NewTaskPage };
    case "events":
      return { title: "Events", Page: EventsPage };
    case "health":
      return { title: "Health", Page: HealthPage, offline: true };
    case "sign-in":
      return { title: "Sign in", Page: SignInPage };
    case "nowhere":
      return { title: "No such page", Page: NowherePage, offline: true };
  }
}

/** Links at the top, each current on its pages. */
export const navigation: readonly {
  readonly title: string;
  readonly href: string;
  readonly pages: readonly Route["page"][];
}[] = [
  { title: "Tasks", href: hrefs.overview, pages: ["overview", "task", "new-task"] },
  { title: "Events", href: hrefs.events, pages: ["events"] },
  { title: "Health", href: hrefs.health, pages: ["health"] },
];
