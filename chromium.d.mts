/** Types of `chromium.mjs`. */

export const HOW_TO_GET_CHROMIUM: string;
export function findChromium(): string | undefined;
export function isChromiumRequired(): boolean;
export function canInstallChromium(): boolean;
export function installChromium(): string | undefined;
