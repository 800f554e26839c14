/** What each kernel's module should say, freshly compiled. */
export function compileKernels(): Promise<{ readonly file: string; readonly text: string }[]>;
