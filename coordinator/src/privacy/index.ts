/**
 * Differential privacy alone, with nothing of the coordinator in it: what releases cost, how much noise a budget
 * needs, and the mechanism that adds it. Add-or-remove-one neighbours throughout; every bound is an upper bound.
 */

export type { NoiseSplit, NormUpdate } from "./adaptive-clipping.ts";
export {
  bitOfNorm,
  deltaNoiseMultiplier,
  halvesNoiseStddev,
  nextClippingNorm,
  shareBelow,
} from "./adaptive-clipping.ts";
export {
  canAfford,
  epsilonOf,
  epsilonOfGroups,
  MOST_ROUNDS,
  renyiEpsilonOfGroups,
  roundsLeft,
} from "./accountant.ts";
export type { AccountantName, Spent } from "./accountant.ts";
export { calibrateNoise } from "./calibrate.ts";
export type { Calibration, CalibrationTarget } from "./calibrate.ts";
export { amplificationOf, sampledGaussian } from "./charge.ts";
export type { Charge, ChargeGroup, GaussianCharge, MatrixCharge } from "./charge.ts";
export { deltaOfGaussian, epsilonOfGaussian, muOfGaussian } from "./gaussian-curve.ts";
export { centralGaussian } from "./gaussian-mechanism.ts";
export type {
  CentralGaussian,
  CentralGaussianOptions,
  ReleaseMechanism,
} from "./gaussian-mechanism.ts";
export { discreteGaussian } from "./discrete-gaussian.ts";
export type { DiscreteGaussian } from "./discrete-gaussian.ts";
export { createExactNoise } from "./exact-noise.ts";
export { createGrid, gridFault } from "./grid.ts";
export type { Grid, GridSettings } from "./grid.ts";
export { createIntegerNoise } from "./integer-noise.ts";
export type { IntegerNoise } from "./integer-noise.ts";
export type { BltParameters } from "./matrix/blt.ts";
export type { Factorization, MatrixRun } from "./matrix/factorization.ts";
export { createFactorization, runFault } from "./matrix/factorization.ts";
export type { MatrixMechanism, MatrixMechanismOptions } from "./matrix/matrix-mechanism.ts";
export { matrixMechanism } from "./matrix/matrix-mechanism.ts";
export type { BltTarget } from "./matrix/optimize-blt.ts";
export { optimizeBlt } from "./matrix/optimize-blt.ts";
export type { ParticipationLimits, PrefixError } from "./matrix/toeplitz.ts";
export { createRdpFilter, createRdpOdometer } from "./odometer.ts";
export type { RdpFilter, RdpFilterOptions, RdpOdometer } from "./odometer.ts";
export { calibrateLocalNoise, localEpsilon, localRounds } from "./local-gaussian.ts";
export type { LocalCalibration, LocalPlan, LocalTarget } from "./local-gaussian.ts";
export { createSecureRandom } from "./random.ts";
export type { SecureRandom } from "./random.ts";
export { epsilonOfRdp, RDP_ORDERS, rdpOfSampledGaussian } from "./rdp.ts";
