/** Numbers, spans and instants as people read them: units after a thin space, a dash for what is not there. */

import { roundedUp } from "@tributary/protocol";

/** Between a number and its unit, and between thousands: narrow, and never the end of a line. */
const THIN = "\u202f";
/** What stands where there is no value. */
export const NOTHING = "–";

/** `12 345`; four digits stand without a gap. */
export function countText(value: number): string {
  if (!Number.isFinite(value)) return NOTHING;
  const digits = String(Math.round(Math.abs(value)));
  const grouped = digits.length > 4 ? digits.replace(/\B(?=(\d{3})+$)/g, THIN) : digits;
  return Math.round(value) < 0 ? `−${grouped}` : grouped;
}

/** With so many significant digits, small numbers with an exponent: `0.4312`, `1.2e-7`. */
export function decimalText(value: number, digits = 4): string {
  if (!Number.isFinite(value)) return NOTHING;
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e7)) {
    return value
      .toExponential(Math.max(0, digits - 2))
      .replace("-", "−")
      .replace("e+", "e");
  }
  const fixed = value.toPrecision(digits);
  const plain = size >= 10 ** digits ? String(Math.round(value)) : fixed;
  return plain.replace("-", "−");
}

/** Of a share from 0 to 1: `97.31 %`. */
export function percentText(share: number, digits = 2): string {
  if (!Number.isFinite(share)) return NOTHING;
  return `${(100 * share).toFixed(digits)}${THIN}%`;
}

/** Never less than was spent: a promise is not improved by rounding. */
export function epsilonText(value: number): string {
  return Number.isFinite(value) ? roundedUp(value, 4) : NOTHING;
}

/** What is left of a budget: never more than there is. */
export function leftText(value: number): string {
  if (!Number.isFinite(value)) return NOTHING;
  if (value <= 0) return "0";
  const nearest = Number(value.toPrecision(4));
  if (!(nearest > value)) return String(nearest);
  const unit = 10 ** (Math.floor(Math.log10(value)) - 3);
  return String(Number((nearest - unit).toPrecision(4)));
}

/** The chance that a promise does not hold, never less than it is: `1.43e-5`. */
export function deltaText(value: number): string {
  return Number.isFinite(value) ? decimalText(Number(roundedUp(value, 3)), 4) : NOTHING;
}

/** A share of a budget that is spent, never less than it is: `29.9 %`. */
export const spentText = (share: number): string =>
  percentText(Math.min(1, Math.ceil(1000 * share) / 1000), 1);

export function bytesText(bytes: number): string {
  if (!Number.isFinite(bytes)) return NOTHING;
  if (bytes < 1000) return `${bytes}${THIN}B`;
  const units = ["kB", "MB", "GB", "TB"];
  let value = bytes / 1000;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value.toPrecision(3)}${THIN}${units[unit] ?? ""}`;
}

/** `840 ms`, `12.4 s`, `3 min 20 s`, `5 h 12 min`. */
export function spanText(ms: number): string {
  if (!Number.isFinite(ms)) return NOTHING;
  if (ms < 999.5) return `${Math.max(0, Math.round(ms))}${THIN}ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)}${THIN}s`;
  return wholeSpanText(ms);
}

/** In whole seconds and with two units at most, for what counts down or up: `9 s`, `1 min 05 s`, `3 d 4 h`. */
export function wholeSpanText(ms: number): string {
  if (!Number.isFinite(ms)) return NOTHING;
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds}${THIN}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}${THIN}min ${two(seconds % 60)}${THIN}s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours}${THIN}h ${two(minutes % 60)}${THIN}min`;
  return `${Math.floor(hours / 24)}${THIN}d ${hours % 24}${THIN}h`;
}

/** As it was written, without zeros that say nothing: `0.05`, `12 s`, `2 min`. For settings. */
export const settingText = (value: number): string => String(Number(value.toPrecision(6)));
export const settingSpanText = (ms: number): string =>
  spanText(ms)
    .replace(/\.0(?=\u202f)/, "")
    .replace(/ 00?\u202f\S+$/, "");

const two = (value: number) => String(value).padStart(2, "0");

/** `13:05:09`, by the clock of whoever reads. */
export function timeText(atMs: number): string {
  if (!Number.isFinite(atMs)) return NOTHING;
  const at = new Date(atMs);
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

/** `2026-11-30 13:05`. */
export function dateText(atMs: number): string {
  if (!Number.isFinite(atMs)) return NOTHING;
  const at = new Date(atMs);
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}`;
}

/** The first characters of a digest; the whole belongs into a title or beside a button to copy it. */
export const digestText = (digest: string): string => `${digest.slice(0, 12)}…`;

/** `1 client`, `12 clients`. */
export const counted = (count: number, one: string, many = `${one}s`): string =>
  `${countText(count)} ${count === 1 ? one : many}`;
