import { expect, test } from "vitest";

import { createPeerAddress } from "./peer-address.ts";

const PROXY = "10.0.0.9";
const seen = (
  forwarded: string | string[] | undefined,
  { trustedProxy = true, proxyHops = 1, remoteAddress = PROXY } = {},
) =>
  createPeerAddress({ trustedProxy, proxyHops })({
    headers: forwarded === undefined ? {} : { "x-forwarded-for": forwarded },
    socket: { remoteAddress },
  });

test("[NET1] without a trusted proxy the socket's address counts, whatever a header says", () => {
  expect(seen("1.2.3.4", { trustedProxy: false })).toBe(PROXY);
  expect(seen("1.2.3.4, 10.0.0.9", { trustedProxy: false, proxyHops: 2 })).toBe(PROXY);
});

test("[NET1] behind trusted proxies the entry of the outermost counts, never what a client wrote", () => {
  const spoofed = "6.6.6.6, 203.0.113.7, 10.1.1.1";
  expect(seen("203.0.113.7")).toBe("203.0.113.7");
  expect(seen(spoofed)).toBe("10.1.1.1");
  expect(seen(spoofed, { proxyHops: 2 })).toBe("203.0.113.7");
  expect(seen(["6.6.6.6", "203.0.113.7 ,10.1.1.1"], { proxyHops: 2 })).toBe("203.0.113.7");
  expect(seen("203.0.113.7", { proxyHops: 3 })).toBe("203.0.113.7");
});

test.each([undefined, "", ",", "unknown", "not.an.address", "1.2.3.4,", "1.2.3.4, <script>"])(
  "[NET1] where the proxy's entry is no address (%j) the proxy itself counts",
  (forwarded) => {
    expect(seen(forwarded)).toBe(PROXY);
  },
);

test.each([
  ["203.0.113.7:4711", "203.0.113.7"],
  ["[2001:DB8::0:1]:443", "2001:db8::1"],
  ["2001:db8:0:0:0:0:0:1", "2001:db8::1"],
  ["::ffff:203.0.113.7", "203.0.113.7"],
  ["::FFFF:cb00:7107", "203.0.113.7"],
  ["fe80::1%eth0", "fe80::1"],
  ["::1", "::1"],
])("[NET1] one address has one spelling: %s", (written, address) => {
  expect(seen(written)).toBe(address);
  expect(seen(undefined, { remoteAddress: written })).toBe(address);
});

test("[NET1] a socket that is gone has no address", () => {
  const peerAddress = createPeerAddress({ trustedProxy: false, proxyHops: 1 });
  expect(peerAddress({ headers: {}, socket: {} })).toBe("unknown");
});
