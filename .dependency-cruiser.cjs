/** Who may import whom; ARCHITECTURE.md has the picture. One rule per line of it. */

const TESTS = "\\.test\\.ts$";
const notFrom = (path) => ({ path, pathNot: TESTS });
const COORDINATOR = "^coordinator/src/";
const PURE = `${COORDINATOR}(round/(state|machine|participants|sampler|schedule|quota)\\.ts|aggregation/|checksum/|privacy/|thread\\.ts|wasm\\.ts|config/(auth-)?schema\\.ts)`;
const APPLICATION = `${COORDINATOR}(round/(engine|discretion|round-loop|intake|release|assignment|budget|open-round|round-sum|clipping|progress|refusal|mailbox|seed)\\.ts|task/|model/|clients/|limits/|events/|ports\\.ts)`;
const ADAPTERS = `${COORDINATOR}(storage|transport|http|network|identity|evaluation|observability|config)/`;
const TFJS = "node_modules/@tensorflow/";
const NODE_BUILTIN = { dependencyTypes: ["core"] };

const rule = (name, from, to) => ({ name, severity: "error", from, to });

module.exports = {
  forbidden: [
    rule("no-cycles", {}, { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } }),
    rule("protocol-stands-alone", notFrom("^protocol/src/"), {
      path: "^(coordinator|client-sdk|examples|test)/",
    }),
    rule(
      "protocol-root-has-no-dependency",
      { path: "^protocol/src/", pathNot: `schema\\.ts$|${TESTS}` },
      { dependencyTypes: ["npm", "npm-dev", "npm-peer", "core"] },
    ),
    rule(
      "protocol-schema-uses-typebox-only",
      { path: "^protocol/src/schema\\.ts$" },
      { dependencyTypes: ["npm", "npm-dev", "npm-peer", "core"], pathNot: "node_modules/typebox" },
    ),
    rule("coordinator-never-imports-the-sdk", { path: COORDINATOR }, { path: "^client-sdk/" }),
    rule(
      "coordinator-tfjs-only-in-evaluation",
      { path: COORDINATOR, pathNot: `${COORDINATOR}evaluation/|${TESTS}` },
      { path: TFJS },
    ),
    rule(
      "coordinator-evaluation-loads-tfjs-lazily",
      { path: `${COORDINATOR}evaluation/`, pathNot: TESTS },
      { path: TFJS, dependencyTypesNot: ["type-only"], dynamic: false },
    ),
    rule("pure-imports-pure-and-protocol", notFrom(PURE), { path: "^coordinator/", pathNot: PURE }),
    rule("privacy-stands-alone", notFrom(`${COORDINATOR}privacy/`), {
      path: "^coordinator/",
      pathNot: `${COORDINATOR}(privacy/|thread\\.ts|wasm\\.ts)`,
    }),
    rule(
      "pure-knows-no-node",
      { path: PURE, pathNot: `(privacy/random|src/thread)\\.ts$|${TESTS}` },
      NODE_BUILTIN,
    ),
    rule("application-imports-no-adapter", notFrom(APPLICATION), {
      path: `${ADAPTERS}|${COORDINATOR}(coordinator\\.ts|cli/)`,
      pathNot: "config/(auth-)?schema\\.ts$",
    }),
    rule("application-knows-no-socket-or-server", notFrom(APPLICATION), {
      path: "node_modules/(socket\\.io|fastify|pino|@photostructure|jose)",
    }),
    rule("application-knows-no-node", notFrom(APPLICATION), NODE_BUILTIN),
    rule(
      "adapters-never-import-each-other",
      {
        path: `${COORDINATOR}(storage|transport|http|network|identity|evaluation|observability|config)/`,
        pathNot: TESTS,
      },
      { path: ADAPTERS, pathNot: [`${COORDINATOR}$1/`, "config/(auth-)?schema\\.ts$"] },
    ),
    rule("adapters-know-no-composition", notFrom(ADAPTERS), {
      path: `${COORDINATOR}(coordinator\\.ts|cli/)`,
    }),
    // Whose noise comes from a seed: nothing that serves clients may get hold of it.
    rule(
      "nothing-but-the-command-simulates",
      { path: COORDINATOR, pathNot: `${COORDINATOR}(simulation/|cli/simulat)` },
      { path: `${COORDINATOR}simulation/` },
    ),
    rule(
      "sdk-never-imports-the-coordinator",
      { path: "^client-sdk/src/", pathNot: `^client-sdk/src/testing/|${TESTS}` },
      { path: "^coordinator/" },
    ),
    rule(
      "sdk-node-only-in-node",
      { path: "^client-sdk/src/", pathNot: `^client-sdk/src/(node|testing)/|${TESTS}` },
      NODE_BUILTIN,
    ),
    rule(
      "sdk-tfjs-only-in-tfjs-and-node",
      { path: "^client-sdk/src/", pathNot: `^client-sdk/src/(tfjs|node)/|${TESTS}` },
      { path: TFJS },
    ),
    rule(
      "sdk-root-knows-no-entry-of-its-own",
      { path: "^client-sdk/src/[^/]+\\.ts$", pathNot: TESTS },
      { path: "^client-sdk/src/(tfjs|node|browser|worker|react|one-shot|testing)/" },
    ),
    rule(
      "dashboard-is-a-client-of-the-api",
      { path: "^coordinator/dashboard/src/" },
      { path: "^(coordinator/src|client-sdk|examples|test)/" },
    ),
    rule("dashboard-knows-no-node", notFrom("^coordinator/dashboard/src/"), NODE_BUILTIN),
    rule(
      "coordinator-never-imports-its-dashboard",
      { path: COORDINATOR },
      { path: "^coordinator/dashboard/" },
    ),
    rule(
      "no-deep-imports-across-packages",
      { path: "^(protocol|coordinator|client-sdk|examples)/" },
      {
        path: "^(protocol|coordinator|client-sdk)/src/",
        pathNot: [
          "^$1/",
          "/src/index\\.ts$",
          "/src/(evaluation|privacy|simulation|tfjs|node|browser|worker|react|one-shot|testing)/index\\.ts$",
          "^protocol/src/schema\\.ts$",
        ],
      },
    ),
    rule("everything-resolves", { pathNot: "^coordinator/bin/" }, { couldNotResolve: true }),
    rule(
      "no-dev-dependency-in-products",
      { path: "^(protocol|coordinator|client-sdk)/src/", pathNot: TESTS },
      { dependencyTypes: ["npm-dev"], dependencyTypesNot: ["type-only", "npm-peer"] },
    ),
  ],
  options: {
    tsConfig: { fileName: "tsconfig.json" },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      conditionNames: ["@tributary/source", "import", "node", "default", "types"],
      exportsFields: ["exports"],
    },
    exclude: {
      path: ["^(protocol|coordinator|client-sdk|test)/dist/", "^examples/[a-z-]+/dist/"],
    },
    doNotFollow: { path: "node_modules" },
  },
};
