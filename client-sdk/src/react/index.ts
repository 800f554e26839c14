/** `@tributary/client-sdk/react`: Hooks for React apps. */

export {};
