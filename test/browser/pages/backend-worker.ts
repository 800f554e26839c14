/** A Worker that says which backend it takes. */

import { pickBackend } from "./backends.ts";

pickBackend().then(
  (picked) => self.postMessage(picked),
  (error: unknown) => self.postMessage({ backend: "none", reason: String(error) }),
);
