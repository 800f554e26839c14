/** `@tributary/client-sdk/browser`: What only a web page has: storage that lasts, consent, the conditions to train under, the choice of a TF.js backend. */

export { chooseBackend } from "./backend.ts";
export type {
  BackendTrial,
  BrowserBackend,
  ChooseBackendOptions,
  ChosenBackend,
} from "./backend.ts";
export type { Consent, ConsentState } from "./consent.ts";
export { openDevice } from "./device.ts";
export type { Device, DeviceClientOptions, DeviceOptions } from "./device.ts";
export type { ConditionOptions } from "./sensors.ts";
export { wakeWhenBack } from "./wake.ts";
