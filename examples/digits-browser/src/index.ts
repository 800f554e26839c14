/** The parts of the browser demo that its tests run, too. */

export { startDemo } from "./demo.ts";
export type { Demo, DemoOptions } from "./demo.ts";
export { prepareDigit } from "./digit-image.ts";
export { createDigitsModel, IMAGE_PIXELS, IMAGE_SIDE, NUM_CLASSES } from "./model.ts";
export { pagePolicy } from "./page-server.ts";
export { TASK_ID } from "./task.ts";
