/** The address behind `server.host`: what is called loopback must be it. */

import { lookup } from "node:dns/promises";
import { isIP } from "node:net";

import { assertNoFaults, isLoopback } from "../config/schema.ts";

export type Lookup = (host: string) => Promise<readonly { readonly address: string }[]>;

/**
 * "localhost" is a name, and a hosts file may give it any address; the rules for loopback would then
 * hold for a listener that others can reach. Other names are never taken for loopback.
 * @throws FederatedError CONFIG_INVALID
 */
export async function listenAddress(
  host: string,
  resolve: Lookup = (name) => lookup(name, { all: true }),
): Promise<string> {
  if (isIP(host) !== 0 || !isLoopback(host)) return host;
  // Where the name is unknown nothing else can be meant.
  const found = await resolve(host).catch(() => [{ address: "127.0.0.1" }]);
  const addresses = found.map(({ address }) => address);
  const stranger = addresses.find((address) => !isLoopback(address));
  if (stranger !== undefined) {
    const message = `is "${host}", which this machine resolves to ${stranger}, an address that others can reach: write 127.0.0.1, or mend the hosts file`;
    assertNoFaults("the configuration", [{ path: "server.host", message }]);
  }
  return addresses.includes("127.0.0.1") ? "127.0.0.1" : (addresses[0] ?? "127.0.0.1");
}
