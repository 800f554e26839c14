/** Runs the tests in a browser where there is none: every one shows as skipped, and no hook of theirs runs. */

import type { TestContext } from "vitest";
import { TestRunner } from "vitest";

// The default export is what Vitest asks of a runner.
// eslint-disable-next-line no-restricted-syntax
export default class SkippingRunner extends TestRunner {
  /** Called for each test when it is collected, before it is decided what runs. */
  override extendTaskContext(context: TestContext): TestContext {
    (context.task as { mode: string }).mode = "skip";
    return super.extendTaskContext(context);
  }
}
