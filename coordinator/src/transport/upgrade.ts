/** Which requests become a WebSocket: looked at before anything is spent on them. */

import type { IncomingMessage } from "node:http";

import { FederatedError, SOCKET_PATH } from "@tributary/protocol";

import type { Edge } from "../ports.ts";

/** Sixteen bytes in base64 (RFC 6455, 4.2.1). */
const KEY = /^[+/0-9A-Za-z]{22}==$/;

/** Why the request may not become one; undefined where it may. */
export function upgradeFault(
  request: IncomingMessage,
  edge: Pick<Edge, "hostFault" | "originFault">,
): FederatedError | undefined {
  const { method, headers } = request;
  const [path, query] = (request.url ?? "").split("?");
  if (path?.replace(/\/$/, "") !== SOCKET_PATH) {
    return new FederatedError("NOT_FOUND", `only ${SOCKET_PATH} takes a WebSocket`);
  }
  const foreign = edge.hostFault(request) ?? edge.originFault(request);
  if (foreign !== undefined) return foreign;
  const parameters = new URLSearchParams(query);
  const proper =
    method === "GET" &&
    headers.upgrade?.toLowerCase() === "websocket" &&
    headers["sec-websocket-version"] === "13" &&
    KEY.test(headers["sec-websocket-key"] ?? "") &&
    // Nobody here speaks one, and what is no list of them would be refused below us without a code.
    headers["sec-websocket-protocol"] === undefined &&
    isOnly(parameters.getAll("transport"), "websocket") &&
    isOnly(parameters.getAll("EIO"), "4") &&
    !parameters.has("sid");
  if (proper) return undefined;
  return new FederatedError(
    "MALFORMED_MESSAGE",
    "this is no handshake of a WebSocket (RFC 6455, version 13) for socket.io 4 without polling",
  );
}

const isOnly = (values: readonly string[], wanted: string) =>
  values.length === 1 && values[0] === wanted;
