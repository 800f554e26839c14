/** What each kernel's module should say, freshly compiled; of those in a folder, or of all. */
export function compileKernels(
  folder?: string,
): Promise<{ readonly file: string; readonly text: string }[]>;
