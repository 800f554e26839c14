/** A 28 x 28 image in characters. */

import { IMAGE_SIDE } from "./data.ts";

const SHADES = [" ", "░", "▒", "▓", "█"] as const;

/** Rows of text, two characters for each pixel; empty rows at top and bottom are left out. */
export function drawDigit(pixels: Uint8Array): string[] {
  const rows = Array.from({ length: IMAGE_SIDE }, (_, y) =>
    [...pixels.subarray(y * IMAGE_SIDE, (y + 1) * IMAGE_SIDE)]
      .map((value) => (SHADES[Math.ceil((value / 255) * (SHADES.length - 1))] ?? " ").repeat(2))
      .join(""),
  );
  const inked = rows.map((row) => row.trim() !== "");
  return rows.slice(Math.max(0, inked.indexOf(true)), inked.lastIndexOf(true) + 1);
}
