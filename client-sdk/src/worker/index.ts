/** `@tributary/client-sdk/worker`: Training and predicting in a dedicated Worker, the page only looks on. */

export {};
