// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";

import {ClaimProof} from "adtally/libraries/ClaimProof.sol";
import {ClaimTree} from "../support/ClaimTree.sol";
import {Test} from "../support/Test.sol";

contract ClaimProofHarness {
    function isProven(bytes32[] calldata proof, bytes32 root, bytes32 leaf)
        external
        pure
        returns (bool)
    {
        return ClaimProof.isProven(proof, root, leaf);
    }

    function oracle(bytes32[] calldata proof, bytes32 root, bytes32 leaf)
        external
        pure
        returns (bool)
    {
        return MerkleProof.verifyCalldata(proof, root, leaf);
    }
}

/// @notice The claim proof's own loop against OpenZeppelin's.
contract ClaimProofFuzzTest is Test {
    ClaimProofHarness internal harness;

    function setUp() public {
        harness = new ClaimProofHarness();
    }

    /// @dev Any nodes are a proof of the root that they lead to, and of no other.
    function testFuzz_ClaimProof_AgreesWithOpenZeppelin(
        bytes32[] calldata proof,
        bytes32 leaf,
        bytes32 other
    ) public view {
        bytes32 root = MerkleProof.processProofCalldata(proof, leaf);
        assertTrue(harness.isProven(proof, root, leaf), "true root");
        assertTrue(
            harness.isProven(proof, other, leaf) == harness.oracle(proof, other, leaf), "any root"
        );
        assertTrue(
            harness.isProven(proof, root, other) == harness.oracle(proof, root, other), "any leaf"
        );
    }

    /// @dev Equal siblings, and a leaf that equals its sibling.
    function testFuzz_ClaimProof_EqualNodes(bytes32 node, uint8 length) public view {
        bytes32[] memory proof = new bytes32[](length % 8);
        for (uint256 i = 0; i < proof.length; ++i) {
            proof[i] = node;
        }
        bytes32 root = MerkleProof.processProof(proof, node);
        assertTrue(harness.isProven(proof, root, node), "proven");
        assertTrue(harness.oracle(proof, root, node), "oracle");
    }

    function testFuzz_ClaimProof_EveryLeafOfATree(uint8 count, bytes32 salt) public view {
        bytes32[] memory leaves = new bytes32[](bound(count, 1, 40));
        for (uint256 i = 0; i < leaves.length; ++i) {
            leaves[i] = keccak256(abi.encode(salt, i));
        }
        bytes32[] memory tree = ClaimTree.build(leaves);
        for (uint256 i = 0; i < leaves.length; ++i) {
            assertTrue(
                harness.isProven(ClaimTree.proof(tree, leaves[i]), tree[0], leaves[i]), "leaf"
            );
        }
    }
}
