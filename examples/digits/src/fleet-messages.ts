/** What the main process and a fleet process say to each other. */

import type { FleetOptions } from "./fleet.ts";

export type ToFleet =
  | { readonly kind: "start"; readonly options: Omit<FleetOptions, "onTrouble"> }
  | { readonly kind: "stop" };

export type FromFleet =
  | { readonly kind: "ready"; readonly clients: number; readonly backend: string }
  | { readonly kind: "trouble"; readonly message: string }
  | { readonly kind: "failed"; readonly message: string };
