/** What one release costs, and equal ones together. */

/** One release: Gaussian noise z on the sum of a Poisson sample of rate q (1: no amplification). */
export interface Charge {
  readonly noiseMultiplier: number;
  readonly samplingRate: number;
}

/** Equal charges. */
export interface ChargeGroup {
  readonly charge: Charge;
  readonly count: number;
}

/** Every different charge once, in order of first appearance. */
export function groupCharges(charges: Iterable<Charge>): ChargeGroup[] {
  const groups = new Map<string, { readonly charge: Charge; count: number }>();
  for (const charge of charges) {
    const key = `${charge.samplingRate}/${charge.noiseMultiplier}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { charge, count: 1 });
    else group.count += 1;
  }
  return [...groups.values()];
}
