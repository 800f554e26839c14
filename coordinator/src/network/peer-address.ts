/** Who is at the other end: the socket's address or, behind trusted proxies, what they saw (X-Forwarded-For). */

import { isIP } from "node:net";

import type { PeerAddress } from "../ports.ts";

export interface PeerAddressOptions {
  readonly trustedProxy: boolean;
  /** Proxies between the internet and this process. */
  readonly proxyHops: number;
}

/**
 * The one place that says where a request comes from, for HTTP and for the socket's handshake.
 *
 * Each proxy appends the address that it saw. Counted from the right, entries are the word of our own
 * proxies; what is further left was sent along by the client, who may write there what it likes.
 */
export function createPeerAddress({ trustedProxy, proxyHops }: PeerAddressOptions): PeerAddress {
  return ({ headers, socket }) => {
    const direct = canonical(socket.remoteAddress ?? "") ?? "unknown";
    if (!trustedProxy) return direct;
    const entries = [headers["x-forwarded-for"] ?? []].flat().join(",").split(",");
    // A list shorter than the chain was begun by one of our proxies, so its first entry counts. What is
    // no address is nobody's word: the proxy itself then stands for the client.
    return canonical(entries.at(-proxyHops) ?? entries[0] ?? "") ?? direct;
  };
}

/** An address in one spelling, without port, brackets, zone and IPv4 mapping; undefined when it is none. */
function canonical(text: string): string | undefined {
  const entry = text.trim();
  // As most sockets have it, the second where IPv4 and IPv6 are listened to at once.
  if (isIP(entry) === 4) return entry;
  if (entry.startsWith("::ffff:") && isIP(entry.slice(7)) === 4) return entry.slice(7);
  const [, bracketed] = /^\[([^\]]+)\](?::\d+)?$/.exec(entry) ?? [];
  const [, withPort] = /^([\d.]+):\d+$/.exec(entry) ?? [];
  const [address = ""] = (bracketed ?? withPort ?? entry).split("%");
  if (isIP(address) === 4) return address;
  if (isIP(address) !== 6) return undefined;
  // The URL parser writes IPv6 as RFC 5952 asks, the mapped IPv4 as two groups of hexadecimal.
  const written = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [, high, low] = /^::ffff:([\da-f]{1,4}):([\da-f]{1,4})$/.exec(written) ?? [];
  if (high === undefined || low === undefined) return written;
  const bytes = [high, low].map((group) => Number.parseInt(group, 16));
  return bytes.flatMap((group) => [group >> 8, group & 255]).join(".");
}
