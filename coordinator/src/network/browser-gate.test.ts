import { expect, test } from "vitest";

import type { BrowserGateOptions } from "./browser-gate.ts";
import { createBrowserGate } from "./browser-gate.ts";

const APP = "https://app.example";
const gate = (options: Partial<BrowserGateOptions> = {}) =>
  createBrowserGate({
    host: "127.0.0.1",
    trustedProxy: false,
    tls: false,
    allowedOrigins: [],
    ...options,
  });
const from = (headers: Record<string, string | string[]>) => ({ headers, socket: {} });
const codeOf = (fault: { readonly code: string } | undefined) => fault?.code;

test.each(["localhost", "LOCALHOST:8080", "127.0.0.1:8080", "127.1.2.3", "[::1]:8080", "[::1]"])(
  "[NET4] a coordinator for this machine only answers to its Host %s",
  (host) => {
    expect(gate().hostFault(from({ host }))).toBeUndefined();
  },
);

test.each([
  "rebound.example",
  "rebound.example:8080",
  "127.0.0.1.rebound.example",
  "localhost.rebound.example:8080",
  "192.168.1.7:8080",
  "[2001:db8::1]:8080",
  "localhost@rebound.example",
  "127.0.0.1:8080:1",
  "",
])("[NET4] and to no other name, which a page may have made its own: %j", (host) => {
  const fault = gate().hostFault(from({ host }));
  expect(codeOf(fault)).toBe("FORBIDDEN");
  expect(fault?.message).toContain("server.trustedProxy");
});

test("[NET4] behind a proxy, over TLS and beyond loopback the Host may be any", () => {
  const request = from({ host: "coordinator.example" });
  expect(gate({ trustedProxy: true }).hostFault(request)).toBeUndefined();
  expect(gate({ tls: true }).hostFault(request)).toBeUndefined();
  expect(gate({ host: "0.0.0.0" }).hostFault(request)).toBeUndefined();
});

test("[NET5] what sends no Origin is no web page, and is let in", () => {
  expect(gate().originFault(from({ host: "127.0.0.1" }))).toBeUndefined();
});

test.each([
  ["plain", {}, "http://127.0.0.1:8080", { host: "127.0.0.1:8080" }],
  ["the default port", {}, "http://localhost", { host: "localhost:80" }],
  ["TLS", { tls: true }, "https://c.example", { host: "c.example:443" }],
  ["a proxy that keeps Host", { trustedProxy: true }, "https://c.example", { host: "c.example" }],
  [
    "a proxy that says what Host was",
    { trustedProxy: true },
    "https://c.example",
    { host: "upstream", "x-forwarded-host": "c.example" },
  ],
])("[NET5] the coordinator's own pages are let in: %s", (_, options, origin, headers) => {
  expect(gate(options).originFault(from({ ...headers, origin }))).toBeUndefined();
});

test.each([
  ["another name", {}, "http://evil.example", { host: "127.0.0.1:8080" }],
  ["another port", {}, "http://127.0.0.1:9", { host: "127.0.0.1:8080" }],
  ["without TLS", { tls: true }, "http://c.example", { host: "c.example" }],
  ["a sandboxed page", {}, "null", { host: "" }],
  ["no origin at all", {}, "", { host: "127.0.0.1:8080" }],
  ["a page of an extension", {}, "chrome-extension://abc", { host: "127.0.0.1:8080" }],
  [
    "a name that only the client claims",
    {},
    "http://evil.example",
    { host: "127.0.0.1:8080", "x-forwarded-host": "evil.example" },
  ],
])("[NET5] other pages are not: %s", (_, options, origin, headers) => {
  expect(codeOf(gate(options).originFault(from({ ...headers, origin })))).toBe("FORBIDDEN");
});

test("[NET5] an allowed origin is let in exactly as it is written, and no other that looks like it", () => {
  const { originFault } = gate({ allowedOrigins: [APP] });
  const fault = (origin: string) => codeOf(originFault(from({ host: "127.0.0.1", origin })));
  expect(fault(APP)).toBeUndefined();
  for (const origin of [`${APP}:8443`, `${APP}.evil.example`, "http://app.example", "HTTPS://X"]) {
    expect(fault(origin), origin).toBe("FORBIDDEN");
  }
  // The message repeats what a stranger sent, but not at length.
  const { message } = originFault(from({ host: "x", origin: `https://${"x".repeat(5000)}` }))!;
  expect(message.length).toBeLessThan(250);
});
