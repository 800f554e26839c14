/** A page for a frame that the browser gives no origin and so no storage: tells its parent what opening a device says. */

import { openDevice } from "@tributary/client-sdk/browser";
import { isFederatedError } from "@tributary/protocol";

openDevice().then(
  () => parent.postMessage("opened", "*"),
  (error: unknown) => {
    const said = isFederatedError(error)
      ? `${error.code} ${String(error.details?.reason)}`
      : String(error);
    parent.postMessage(said, "*");
  },
);
