/** What stands against training on this device now, as far as the browser tells; the turn of this tab comes last. */

import type { PauseReason, TrainingConditions } from "../conditions.ts";
import type { Sensor } from "./sensors.ts";
import { tellAll } from "./tell-all.ts";
import type { Place, Turn } from "./turn.ts";

/**
 * Looks only while somebody listens, and only then asks for the turn: while nothing else stands against training,
 * so that a tab which may not train never keeps another one from it.
 */
export function createConditions(sensors: readonly Sensor[], turn: Turn): TrainingConditions {
  const listeners = new Set<() => void>();
  let stops: readonly (() => void)[] = [];
  let place: Place | undefined;
  let last: readonly PauseReason[] = [];
  /** What the listeners know: whoever reads `against` before them takes nothing from them. */
  let told = last;

  const ofSensors = () => sensors.filter((sensor) => sensor.stands()).map(({ reason }) => reason);

  /** The same array for as long as it has the same reasons in it. */
  function against(): readonly PauseReason[] {
    const sensed = ofSensors();
    const now: readonly PauseReason[] =
      sensed.length > 0 || place?.held === true ? sensed : ["otherTab"];
    if (now.join() !== last.join()) last = now;
    return last;
  }

  function weigh(): void {
    const mayAsk = listeners.size > 0 && ofSensors().length === 0;
    if (!mayAsk) {
      place?.leave();
      place = undefined;
    } else {
      place ??= turn.want(weigh);
    }
    const now = against();
    if (now.join() === told.join()) return;
    told = now;
    tellAll(listeners);
  }

  return {
    get against() {
      return against();
    },
    subscribe: (listener) => {
      const own = () => listener();
      listeners.add(own);
      if (listeners.size === 1) {
        stops = sensors.map((sensor) => sensor.listen(weigh));
        weigh();
      }
      return () => {
        if (!listeners.delete(own) || listeners.size > 0) return;
        for (const stop of stops) stop();
        stops = [];
        weigh();
      };
    },
  };
}
