/** An address that leads nowhere. */

import { useApp } from "../app.ts";
import { hrefs } from "../route.ts";
import { Empty } from "../ui/states.tsx";

export function NowherePage() {
  const { route } = useApp();
  const address = route.value.page === "nowhere" ? route.value.address : "";
  return (
    <Empty title="There is no such page" whole>
      <p class="soft">
        Nothing is at <code>{address}</code>.
      </p>
      <a class="button" href={hrefs.overview}>
        To the tasks
      </a>
    </Empty>
  );
}
