"use strict";
// The npm solc as a process that stays: thousands of mutants are compiled, and a compiler that has
// just started spends most of its time on itself. A line in is one standard JSON input, a line out
// is its answer; the first line out is the compiler's version.
//   node warm_solc.cjs SOLC_FOLDER

const path = require("node:path");
const readline = require("node:readline");

const solc = require(path.resolve(process.argv[2]));

process.stdout.write(`${solc.version()}\n`);
readline.createInterface({ input: process.stdin }).on("line", (line) => {
  process.stdout.write(`${JSON.stringify(JSON.parse(solc.compile(line)))}\n`);
});
