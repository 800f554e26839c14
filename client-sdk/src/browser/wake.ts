/** Tells a client at once when there is a chance to reach its coordinator again, instead of after its next pause. */

import type { World } from "./world.ts";
import { listen, theWorld } from "./world.ts";

/**
 * Calls `client.wake()` when the network is back, when the page comes into sight, and when it is back from sleep or
 * from the browser's history. @returns stops that
 */
export function wakeWhenBack(client: { wake(): void }, world: World = theWorld()): () => void {
  const wake = () => client.wake();
  const { document } = world;
  const stops = [
    listen(world, ["online", "pageshow"], wake),
    listen(document, ["resume"], wake),
    listen(document, ["visibilitychange"], () => {
      if (document?.visibilityState === "visible") wake();
    }),
  ];
  return () => {
    for (const stop of stops) stop();
  };
}
