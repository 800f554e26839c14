/** The wire's version: checked once, at check-in. Raised when an old peer could misread a message. */

export const PROTOCOL_VERSION = 1;

/** Versions this build can speak, newest first. */
export const SUPPORTED_PROTOCOL_VERSIONS: readonly number[] = [PROTOCOL_VERSION];
