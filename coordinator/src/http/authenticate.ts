/** Bearer tokens of requests (RFC 6750), and the hooks that ask for them before a body is read. */

import type { FastifyRequest } from "fastify";

import type { Authenticator } from "../ports.ts";

/** The token of `Authorization: Bearer <token>`; undefined for none and for any other scheme. */
export function bearerToken(request: FastifyRequest): string | undefined {
  return /^Bearer +([^\s]+)$/i.exec(request.headers.authorization ?? "")?.[1];
}

export const requireReader =
  (authenticator: Authenticator) =>
  async (request: FastifyRequest): Promise<void> =>
    authenticator.reader(bearerToken(request));

/** Of whoever may see what is none of the clients' business: the role viewer or operator. */
export const requireViewer =
  (authenticator: Authenticator) =>
  async (request: FastifyRequest): Promise<void> => {
    await authenticator.viewer(bearerToken(request));
  };

export const requireAdmin =
  (authenticator: Authenticator) =>
  async (request: FastifyRequest): Promise<void> =>
    authenticator.admin(bearerToken(request));
