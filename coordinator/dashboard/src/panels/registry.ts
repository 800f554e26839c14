/** Tabs of a task's page and the panels in them. A new panel is a component in this folder and a line here. */

import type { ComponentType } from "preact";

import type { TaskEntry } from "../data/task-entry.ts";
import { TaskActions } from "../operator/task-actions.tsx";
import { CohortPanel } from "./cohort.tsx";
import { CurvesPanel } from "./curves.tsx";
import { PrivacyPanel } from "./privacy.tsx";
import { RoundNowPanel } from "./round-now.tsx";
import { RoundTimesPanel } from "./round-times.tsx";
import { RoundsPanel } from "./rounds.tsx";
import { SetUpPanel, SpecPanel } from "./set-up.tsx";
import { TaskEventsPanel } from "./task-events.tsx";
import { VersionsPanel } from "./versions.tsx";

export interface TaskPartProps {
  readonly entry: TaskEntry;
}

export interface TaskTab {
  /** As it stands in the address. */
  readonly id: string;
  readonly title: string;
  /** In two columns where there is room; a `Panel` that is `wide` takes both. */
  readonly panels: readonly ComponentType<TaskPartProps>[];
}

/** The first is shown where the address names none. */
export const taskTabs: readonly TaskTab[] = [
  { id: "now", title: "Now", panels: [RoundNowPanel, CohortPanel, TaskEventsPanel] },
  { id: "curves", title: "Curves", panels: [CurvesPanel] },
  { id: "rounds", title: "Rounds", panels: [RoundTimesPanel, RoundsPanel] },
  { id: "versions", title: "Versions", panels: [VersionsPanel] },
  { id: "privacy", title: "Privacy", panels: [PrivacyPanel] },
  { id: "set-up", title: "Set-up", panels: [SetUpPanel, SpecPanel] },
];

/** Beside the task's name: buttons for whoever may press them. */
export const taskActions: readonly ComponentType<TaskPartProps>[] = [TaskActions];
