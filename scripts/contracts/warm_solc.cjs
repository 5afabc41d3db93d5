"use strict";
// The npm solc as a process that stays: thousands of mutants are compiled, and a compiler that has
// just started spends most of its time on itself. Listens on the Unix socket that it is given;
// a request is one standard JSON input, its end is the end of the stream, and so is the answer's.
//   node warm_solc.cjs SOCKET SOLC_FOLDER

const net = require("node:net");
const path = require("node:path");

const [socket, folder] = process.argv.slice(2);
const solc = require(path.resolve(folder));

const server = net.createServer({ allowHalfOpen: true }, (connection) => {
  const parts = [];
  connection.on("data", (part) => parts.push(part));
  connection.on("error", () => connection.destroy());
  connection.on("end", () => connection.end(solc.compile(Buffer.concat(parts).toString("utf8"))));
});
server.listen(socket, () => process.stdout.write(`${solc.version()}\n`));
// Whoever started it holds its input open, and takes it along when it ends.
process.stdin.on("end", () => process.exit(0)).resume();
