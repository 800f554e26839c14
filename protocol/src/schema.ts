/** Run-time schemas of the contract: the entry `./schema`. They describe; whoever checks compiles them. */

export * from "./check-in-schema.ts";
export * from "./id-schema.ts";
export * from "./message-schema.ts";
export * from "./resource-schema.ts";
export * from "./task-schema.ts";
