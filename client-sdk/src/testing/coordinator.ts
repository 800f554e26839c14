/** A coordinator inside the test's own process: real sockets and HTTP on a free port, nothing on disk. */

import { inspect } from "node:util";

import type { Coordinator, CoordinatorOptions, Logger } from "@tributary/coordinator";
import { createCoordinator } from "@tributary/coordinator";

export interface TestCoordinator extends Coordinator {
  /** For `createClient({ url })`. */
  readonly url: string;
}

const nothing = () => undefined;

/** A test's output is for the test: only what is wrong goes to stderr. */
const errorsOnly: Logger = {
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: (fields, message) => void process.stderr.write(`${message} ${inspect(fields)}\n`),
};

/**
 * Starts a coordinator that listens on the loopback interface, keeps everything in memory and logs only
 * errors. Each of these can be set otherwise. Close it, or hold it with `await using`.
 */
export async function startTestCoordinator(
  options: CoordinatorOptions = {},
): Promise<TestCoordinator> {
  const { config = {} } = options;
  const coordinator = await createCoordinator({
    logger: errorsOnly,
    ...options,
    config: {
      ...config,
      server: { host: "127.0.0.1", port: 0, ...config.server },
      storage: config.storage ?? { kind: "memory" },
    },
  });
  const { url } = await coordinator.listen();
  return { ...coordinator, url };
}
