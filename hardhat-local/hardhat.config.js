// Only a local chain: `hardhat node`. Contracts are compiled by ./solc (py-solc-x, Forge).
// The compiler path is set so that Hardhat never tries to download one.
import path from "node:path";

export default {
  solidity: {
    version: "0.8.37",
    path: path.join(import.meta.dirname, "node_modules", "solc", "soljson.js"),
  },
  paths: {
    artifacts: "../build/hardhat/artifacts",
    cache: "../build/hardhat/cache",
  },
  networks: {
    default: { type: "edr-simulated", chainType: "l1", chainId: 31337 },
    node: { type: "edr-simulated", chainType: "l1", chainId: 31337 },
  },
};
