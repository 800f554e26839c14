import { feedbackConformance } from "../../test/conformance/feedback.ts";
import { modelCacheConformance } from "../../test/conformance/model-cache.ts";
import { pendingUpdatesConformance } from "../../test/conformance/pending-updates.ts";
import { privacyLedgerConformance } from "../../test/conformance/privacy-ledger.ts";
import { createMemoryCache } from "./cache.ts";
import { createMemoryFeedback } from "./encoding/feedback-store.ts";
import { createMemoryPendingUpdates } from "./pending-updates.ts";
import { createMemoryLedger } from "./privacy/ledger-store.ts";

const nothingLeft = { [Symbol.asyncDispose]: async () => undefined };

modelCacheConformance("memory", async () => ({ cache: createMemoryCache(), ...nothingLeft }));
privacyLedgerConformance("memory", async () => ({ ledger: createMemoryLedger(), ...nothingLeft }));
feedbackConformance("memory", async () => ({
  feedback: createMemoryFeedback(),
  ...nothingLeft,
}));
pendingUpdatesConformance("memory", async () => ({
  updates: createMemoryPendingUpdates(),
  ...nothingLeft,
}));
