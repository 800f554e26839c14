/** What each condition is told by. A browser that does not tell has nothing against training. */

import type { PauseReason } from "../conditions.ts";
import type { Consent } from "./consent.ts";
import type { Battery, World } from "./world.ts";
import { listen } from "./world.ts";

export interface ConditionOptions {
  /** `pause` (the default) stops training in a tab that has not been seen for a while. */
  readonly whenHidden?: "pause" | "train";
  /** How long a tab may be out of sight before it counts as hidden. Default 10 s: a glance away costs nothing. */
  readonly hiddenAfterMs?: number;
  /** Charge below which nothing is trained unless the battery is charging. Default 0.3; 0 for any charge. */
  readonly minBattery?: number;
  /** Where the person asks websites to save data. Default `pause`. */
  readonly onSaveData?: "pause" | "train";
  /** On a mobile network, where the browser tells. Default `pause`. */
  readonly onMetered?: "pause" | "train";
}

export interface Sensor {
  readonly reason: PauseReason;
  stands(): boolean;
  /** @param changed called when `stands()` may have changed. @returns stops listening */
  listen(changed: () => void): () => void;
}

export interface SensorDeps {
  readonly world: World;
  readonly consent: Consent;
  /** What the battery tells; undefined where nothing does. `pending` until that is known. */
  readonly battery: BatteryReading;
}

export function createSensors(deps: SensorDeps, options: ConditionOptions): readonly Sensor[] {
  const { world, consent } = deps;
  const sensors: Sensor[] = [
    {
      reason: "consent",
      stands: () => consent.state !== "granted",
      listen: (changed) => consent.subscribe(changed),
    },
    hiddenSensor(world, options),
    batterySensor(deps.battery, options.minBattery ?? 0.3),
  ];
  const connection = world.navigator?.connection;
  const onConnection = (reason: PauseReason, stands: () => boolean): Sensor => ({
    reason,
    stands,
    listen: (changed) => listen(connection, ["change"], changed),
  });
  if ((options.onSaveData ?? "pause") === "pause") {
    sensors.push(onConnection("saveData", () => connection?.saveData === true));
  }
  if ((options.onMetered ?? "pause") === "pause") {
    sensors.push(onConnection("metered", () => METERED.has(connection?.type ?? "")));
  }
  return sensors;
}

/** Types of connection that somebody pays for by the byte; by `bluetooth` a computer uses a phone's. */
const METERED = new Set(["cellular", "wimax", "bluetooth"]);

function hiddenSensor(
  world: World,
  { whenHidden = "pause", hiddenAfterMs = 10_000 }: ConditionOptions,
): Sensor {
  const { document } = world;
  const isOutOfSight = () => whenHidden === "pause" && document?.visibilityState === "hidden";
  /** Put aside by the browser, with all its timers; nothing must be held meanwhile, least of all the turn. */
  let isFrozen = false;
  /** Runs while the page may be out of sight without counting as hidden. */
  let grace: ReturnType<typeof setTimeout> | undefined;
  return {
    reason: "hidden",
    stands: () => isFrozen || (isOutOfSight() && grace === undefined),
    listen: (changed) => {
      let wasOutOfSight = isOutOfSight();
      const endGrace = () => {
        clearTimeout(grace);
        grace = undefined;
      };
      const look = () => {
        if (!isOutOfSight()) {
          endGrace();
        } else if (!wasOutOfSight) {
          grace = setTimeout(() => {
            grace = undefined;
            changed();
          }, hiddenAfterMs);
        }
        wasOutOfSight = isOutOfSight();
        changed();
      };
      const freeze = () => {
        isFrozen = true;
        endGrace();
        changed();
      };
      const thaw = () => {
        isFrozen = false;
        look();
      };
      const stops = [
        listen(document, ["visibilitychange"], look),
        listen(document, ["freeze"], freeze),
        listen(document, ["resume"], thaw),
        // A page that goes for good (a reload, say) gives nothing back: whoever comes after it goes on with its round.
        listen(world, ["pagehide"], (event) => {
          if ((event as PageTransitionEvent).persisted) freeze();
        }),
        listen(world, ["pageshow"], thaw),
      ];
      return () => {
        endGrace();
        isFrozen = false;
        for (const stop of stops) stop();
      };
    },
  };
}

function batterySensor(reading: BatteryReading, minLevel: number): Sensor {
  return {
    reason: "battery",
    stands: () => {
      if (minLevel <= 0) return false;
      const battery = reading.now();
      if (battery === "pending") return true;
      return battery !== undefined && !battery.charging && battery.level < minLevel;
    },
    listen: (changed) => reading.listen(changed),
  };
}

export interface BatteryReading {
  /** Undefined where the browser does not tell; `pending` for the moment until it does. */
  now(): Battery | "pending" | undefined;
  listen(changed: () => void): () => void;
}

/** Asks once for the battery, which is then always the same object. */
export function readBattery({ navigator }: World): BatteryReading {
  let battery: Battery | "pending" | undefined;
  let asking: Promise<void> = Promise.resolve();
  if (navigator?.getBattery !== undefined) {
    battery = "pending";
    asking = navigator.getBattery().then(
      (found) => void (battery = found),
      // Not allowed in this frame.
      () => void (battery = undefined),
    );
  }
  return {
    now: () => battery,
    listen: (changed) => {
      let stop: (() => void) | undefined = () => {};
      void asking.then(() => {
        if (stop === undefined) return;
        if (typeof battery === "object") {
          stop = listen(battery, ["levelchange", "chargingchange"], changed);
        }
        changed();
      });
      return () => {
        stop?.();
        stop = undefined;
      };
    },
  };
}
