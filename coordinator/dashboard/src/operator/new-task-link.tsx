/** The way to the form of a new task. */

import { hrefs } from "../route.ts";
import { Icon } from "../ui/icon.tsx";

export function NewTaskLink() {
  return (
    <a class="button" href={hrefs.newTask}>
      <Icon name="plus" />
      New task
    </a>
  );
}
