/** The dashboard: a page that looks at the coordinator through its public API and nothing else. */

import { render } from "preact";

const root = document.getElementById("app");
if (root !== null) render(<h1>Tributary</h1>, root);
