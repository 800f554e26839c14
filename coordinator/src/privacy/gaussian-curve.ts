/** The exact curve of the Gaussian, which clients account with too: it lives in the protocol package. */

export { deltaOfGaussian, epsilonOfGaussian, muOfGaussian } from "@tributary/protocol";
