/** A page where a person draws digits and trains with others; its coordinator and its first companions. */

export {};
