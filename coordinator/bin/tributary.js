#!/usr/bin/env node
// Stands where npm can link it before the first build.
import "../dist/cli/main.js";
