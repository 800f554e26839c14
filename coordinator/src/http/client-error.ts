/** What is no HTTP, or not whole in time: answered on the bare connection, before there is a request. */

import { FederatedError } from "@tributary/protocol";

/** By node's own code of the fault. */
export function clientFault(code: string): FederatedError {
  if (code === "HPE_HEADER_OVERFLOW") {
    return new FederatedError("PAYLOAD_TOO_LARGE", "the request's headers are too large");
  }
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") {
    return new FederatedError("UNAVAILABLE", "the request did not arrive in time; send it again", {
      retryAfterMs: 1000,
    });
  }
  return new FederatedError("MALFORMED_MESSAGE", "this is no HTTP request");
}
