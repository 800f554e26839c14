/** Headers that keep a browser from doing anything with an answer but reading it. */

export interface SecurityHeaderOptions {
  /** Tell browsers to come by TLS only from now on. */
  readonly strictTransport: boolean;
}

const YEAR_SECONDS = 31_536_000;

/** Headers of every answer; a page of our own says itself what it may load. */
export const securityHeaders = ({
  strictTransport,
}: SecurityHeaderOptions): Readonly<Record<string, string>> => ({
  // Nothing here is a document: nothing is loaded from it, nothing runs in it, nobody frames it.
  "content-security-policy":
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "cross-origin-opener-policy": "same-origin",
  // Also for allowed origins: what CORS lets them read does not go by this header.
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), display-capture=(), geolocation=(), microphone=(), usb=()",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  // Without subdomains: they are not ours to speak for.
  ...(strictTransport ? { "strict-transport-security": `max-age=${YEAR_SECONDS}` } : {}),
});
