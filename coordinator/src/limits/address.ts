/** What counts as one address in tables of limits. */

/**
 * Of an IPv4 address the whole; of IPv6 the first 64 bits, since that is what every household gets and may
 * choose freely within.
 * @param address as `PeerAddress` spells it
 */
export function addressKey(address: string): string {
  if (!address.includes(":")) return address;
  const [head = "", tail] = address.split("::");
  const groupsOf = (part = "") => (part === "" ? [] : part.split(":"));
  const before = groupsOf(head);
  const after = groupsOf(tail);
  const gap = Array<string>(Math.max(0, 8 - before.length - after.length)).fill("0");
  return `${[...before, ...gap, ...after].slice(0, 4).join(":")}::/64`;
}
