/** Where a coordinator is, as the address that an app writes. */

import { FederatedError } from "@tributary/protocol";

/** @throws FederatedError CONFIG_INVALID for what is no address */
export function originOf(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed !== undefined && /^https?:$/.test(parsed.protocol)) return parsed.origin;
  throw new FederatedError(
    "CONFIG_INVALID",
    `the coordinator's url must begin with http:// or https://, got ${JSON.stringify(url)}`,
  );
}
