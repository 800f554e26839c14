import { expect, test } from "vitest";

import { resolveConfig } from "../config/schema.ts";
import { createEdge } from "./edge.ts";

const auth = { clientToken: "client-token-0123456789", adminToken: "admin-token-0123456789" };
const tls = { certificateFile: "cert.pem", keyFile: "key.pem" };
const hsts = (server: object) =>
  createEdge(resolveConfig({ server, auth }).server).headers["strict-transport-security"];

test("[NET11] browsers are told to stay with TLS where it is ours and the name is, too", () => {
  expect(hsts({ host: "0.0.0.0", tls })).toBe("max-age=31536000");
  expect(hsts({ host: "c.example", tls, trustedProxy: true })).toBe("max-age=31536000");
  expect(hsts({ host: "localhost", tls })).toBeUndefined();
  // The proxy's to say, who speaks TLS.
  expect(hsts({ host: "0.0.0.0", trustedProxy: true })).toBeUndefined();
  expect(hsts({})).toBeUndefined();
});

test("[NET4] a coordinator for this machine refuses foreign Hosts unless it speaks TLS", () => {
  const request = { headers: { host: "rebound.example" }, socket: {} };
  const fault = (server: object) => createEdge(resolveConfig({ server }).server).hostFault(request);
  expect(fault({})?.code).toBe("FORBIDDEN");
  expect(fault({ tls })).toBeUndefined();
});
