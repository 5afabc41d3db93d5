"use strict";
// Answers what py-solc-x and Forge ask of a native solc, with npm's solc of the lock file:
//   solc --version
//   solc [--base-path DIR] [--include-path DIR]... --standard-json [FILE|-]
// Other options (--allow-paths, ...) are accepted and ignored. Imports that are not in the input
// are looked up under the base path, the include paths and hardhat-local/node_modules.

const fs = require("node:fs");
const path = require("node:path");

const VALUED = new Set(["--base-path", "--include-path", "--allow-paths"]);

/** @returns {{version: boolean, json: boolean, base: string, include: string[], file: string}} */
function parseArguments(words) {
  const found = { version: false, json: false, base: "", include: [], file: "-" };
  for (let at = 0; at < words.length; at += 1) {
    const [name, inline] = words[at].split(/=(.*)/s, 2);
    const value = () => (inline === undefined ? words[(at += 1)] : inline);
    if (name === "--version") found.version = true;
    else if (name === "--standard-json") found.json = true;
    else if (name === "--base-path") found.base = value();
    else if (name === "--include-path") found.include.push(value());
    else if (VALUED.has(name)) value();
    else if (!name.startsWith("--")) found.file = words[at];
  }
  return found;
}

function importer(folders) {
  return (name) => {
    for (const folder of folders) {
      const candidate = path.resolve(folder, name);
      if (fs.existsSync(candidate)) return { contents: fs.readFileSync(candidate, "utf8") };
    }
    return { error: `${name} not found under ${folders.join(", ")}` };
  };
}

function main() {
  const options = parseArguments(process.argv.slice(2));
  if (!options.version && !options.json) {
    process.stderr.write("hardhat-local/solc knows only --version and --standard-json\n");
    return 1;
  }
  const solc = require("solc");
  if (options.version) {
    process.stdout.write("solc, the solidity compiler commandline interface\n");
    process.stdout.write(`Version: ${solc.version()}\n`);
    return 0;
  }
  const input = fs.readFileSync(options.file === "-" ? 0 : options.file, "utf8");
  const folders = [
    options.base || process.cwd(),
    ...options.include,
    path.join(__dirname, "node_modules"),
  ];
  const output = solc.compile(input, { import: importer(folders) });
  fs.writeFileSync(1, `${output}\n`);
  return 0;
}

process.exitCode = main();
