/** What a visitor is asked to agree to, in plain words. */

/** Another one asks everybody again. */
export const CONSENT_VERSION = "digits-browser 1";

export const SENT = [
  "How the model's numbers changed when your browser trained it on your drawings. This change is cut to a fixed largest size first.",
  "How many drawings you have, and the mean error of the training.",
  "A random name of this browser, so that you are counted once.",
] as const;

export const NEVER_SENT = [
  "Your drawings, and what you say they are.",
  "Who you are: no account, no e-mail, no cookie.",
] as const;

/** As honest about what is not protected. */
export const CAUTION =
  "No noise is added in this demo, so the coordinator could try to guess from a change what was drawn. You can stop at any time; what the model has learned by then stays in it.";
