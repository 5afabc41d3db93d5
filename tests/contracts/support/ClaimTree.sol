// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";

/// @title OpenZeppelin's standard Merkle tree (sorted leaves, complete binary tree in an array)
library ClaimTree {
    /// @return tree Node i has the children 2i+1 and 2i+2; the root is node 0.
    function build(bytes32[] memory leaves) internal pure returns (bytes32[] memory tree) {
        uint256 count = leaves.length;
        bytes32[] memory sorted = _sort(leaves);
        tree = new bytes32[](2 * count - 1);
        for (uint256 i = 0; i < count; ++i) {
            tree[tree.length - 1 - i] = sorted[i];
        }
        for (uint256 i = tree.length - count; i > 0; --i) {
            tree[i - 1] = Hashes.commutativeKeccak256(tree[2 * i - 1], tree[2 * i]);
        }
    }

    function proof(bytes32[] memory tree, bytes32 leaf) internal pure returns (bytes32[] memory) {
        uint256 node = tree.length;
        for (uint256 i = tree.length / 2; i < tree.length; ++i) {
            if (tree[i] == leaf) node = i;
        }
        require(node != tree.length, "leaf not in tree");
        uint256 depth = 0;
        for (uint256 at_ = node; at_ > 0; at_ = (at_ - 1) / 2) {
            ++depth;
        }
        bytes32[] memory path = new bytes32[](depth);
        for (uint256 i = 0; i < depth; ++i) {
            path[i] = tree[node % 2 == 1 ? node + 1 : node - 1];
            node = (node - 1) / 2;
        }
        return path;
    }

    function _sort(bytes32[] memory leaves) private pure returns (bytes32[] memory sorted) {
        sorted = new bytes32[](leaves.length);
        for (uint256 i = 0; i < leaves.length; ++i) {
            uint256 j = i;
            for (; j > 0 && sorted[j - 1] > leaves[i]; --j) {
                sorted[j] = sorted[j - 1];
            }
            sorted[j] = leaves[i];
        }
    }
}
