import tseslint from "typescript-eslint";

/** No ambient randomness, time or Node globals where the layer must not know them. */
const NODE_GLOBALS = ["process", "Buffer", "global", "setImmediate", "__dirname", "require"];

const PURE = [
  "coordinator/src/round/{state,machine,participants,sampler,schedule}.ts",
  "coordinator/src/aggregation/**/*.ts",
  "coordinator/src/privacy/**/*.ts",
];
const APPLICATION = [
  "coordinator/src/round/*.ts",
  "coordinator/src/{task,model,clients,events}/**/*.ts",
];

export default tseslint.config(
  {
    ignores: [
      "**/dist/**",
      "**/node_modules/**",
      "**/*.mjs",
      "**/*.cjs",
      "eslint.config.js",
      "coordinator/bin/**",
    ],
  },
  ...tseslint.configs.strictTypeChecked,
  ...tseslint.configs.stylisticTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      "@typescript-eslint/restrict-template-expressions": [
        "error",
        { allowNumber: true, allowBoolean: true },
      ],
      "@typescript-eslint/prefer-nullish-coalescing": "error",
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/switch-exhaustiveness-check": "error",
      "@typescript-eslint/no-non-null-assertion": "error",
      // `vector[i] as number` in numeric loops is checked by the loop's own bound.
      "@typescript-eslint/non-nullable-type-assertion-style": "off",
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      "@typescript-eslint/unbound-method": "off",
      // An event map is written as an interface of functions, and some interfaces are async by contract.
      "@typescript-eslint/require-await": "off",
      "no-restricted-syntax": [
        "error",
        { selector: "ExportDefaultDeclaration", message: "Named exports only." },
        { selector: "TSEnumDeclaration", message: "String literals, never enums." },
      ],
      // Index loops over vectors are the fast ones, and a deliberate no-op is a fine callback.
      "@typescript-eslint/prefer-for-of": "off",
      "@typescript-eslint/no-empty-function": "off",
      "@typescript-eslint/consistent-indexed-object-style": "off",
      eqeqeq: "error",
      "no-console": "error",
    },
  },
  {
    files: [
      "client-sdk/src/**/*.ts",
      "protocol/src/**/*.ts",
      "coordinator/dashboard/src/**/*.{ts,tsx}",
    ],
    ignores: ["client-sdk/src/node/**", "client-sdk/src/testing/**", "**/*.test.ts"],
    rules: { "no-restricted-globals": ["error", ...NODE_GLOBALS] },
  },
  {
    files: [...PURE, ...APPLICATION],
    ignores: ["**/*.test.ts"],
    rules: {
      "no-restricted-properties": [
        "error",
        { object: "Math", property: "random", message: "Randomness is passed in." },
        { object: "Date", property: "now", message: "Time is passed in." },
      ],
      "no-restricted-globals": ["error", "setTimeout", "setInterval", "setImmediate", "process"],
    },
  },
  {
    files: ["**/*.test.ts", "test/**/*.ts"],
    rules: {
      "@typescript-eslint/no-non-null-assertion": "off",
      "@typescript-eslint/no-unsafe-assignment": "off",
      "@typescript-eslint/no-unsafe-argument": "off",
      "@typescript-eslint/no-unsafe-member-access": "off",
      "@typescript-eslint/no-unsafe-call": "off",
    },
  },
  {
    files: ["**/vitest.config.ts", "**/vite.config.ts"],
    rules: { "no-restricted-syntax": "off" },
  },
  {
    files: [
      "coordinator/src/cli/**/*.ts",
      "examples/**/*.ts",
      "test/bench/**/*.ts",
      "test/chaos/**/*.ts",
    ],
    rules: { "no-console": "off" },
  },
);
