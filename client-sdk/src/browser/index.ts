/** `@tributary/client-sdk/browser`: What only a web page has: storage that lasts, consent, the conditions to train under, the choice of a TF.js backend. */

export {};
