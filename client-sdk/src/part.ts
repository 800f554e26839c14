/** Parts of the SDK that not every page needs: loaded when they are asked for, and then kept. */

import { FederatedError } from "@tributary/protocol";

import type { Once } from "./once.ts";
import { once } from "./once.ts";

/**
 * What `load` imports. Where that fails, as without a network or after another version was deployed, the next call
 * tries again. @throws FederatedError UNAVAILABLE, naming what the part does
 */
export const part = <T>(does: string, load: () => Promise<T>): Once<T> =>
  once(() =>
    load().catch((cause: unknown) => {
      const message = `the part of the SDK that ${does} cannot be loaded; reload the page`;
      throw new FederatedError("UNAVAILABLE", message, { cause });
    }),
  );
