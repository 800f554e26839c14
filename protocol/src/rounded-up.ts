/** Numbers of a promise as people read them. */

/** So many digits, never less than the number itself: a promise is not improved by rounding. */
export function roundedUp(value: number, digits: number): string {
  const nearest = Number(value.toPrecision(digits));
  if (!(nearest < value)) return String(nearest);
  const unit = 10 ** (Math.floor(Math.log10(value)) - digits + 1);
  return String(Number((nearest + unit).toPrecision(digits)));
}
