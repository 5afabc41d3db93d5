// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {LogTree} from "../support/LogTree.sol";
import {Rfc9162Harness} from "../support/Rfc9162Harness.sol";
import {Test} from "../support/Test.sol";

/// @notice The verifier against the recursive definitions, for trees of up to 40 leaves.
contract Rfc9162FuzzTest is Test {
    uint256 internal constant MAX_SIZE = 40;

    Rfc9162Harness internal harness;
    bytes32[] internal leaves;

    function setUp() public {
        harness = new Rfc9162Harness();
        for (uint256 i = 0; i < MAX_SIZE; ++i) {
            leaves.push(LogTree.leaf(1, i));
        }
    }

    function testFuzz_Consistency_HoldsForEveryPrefix(uint256 first, uint256 second) public view {
        second = bound(second, 2, MAX_SIZE);
        first = bound(first, 1, second - 1);
        assertTrue(_consistent(leaves, leaves, first, second), "prefix");
    }

    function testFuzz_Consistency_FailsForAChangedLeaf(
        uint256 first,
        uint256 second,
        uint256 changed
    ) public view {
        second = bound(second, 2, MAX_SIZE);
        first = bound(first, 1, second - 1);
        bytes32[] memory other = leaves;
        other[bound(changed, 0, first - 1)] = keccak256("changed");
        assertTrue(!_consistent(leaves, other, first, second), "rewritten");
    }

    function testFuzz_Consistency_FailsForAMutatedProof(
        uint256 first,
        uint256 second,
        uint256 where,
        uint256 how
    ) public view {
        second = bound(second, 2, MAX_SIZE);
        first = bound(first, 1, second - 1);
        bytes32[] memory proof = LogTree.consistencyProof(leaves, first, second);
        proof = _mutate(proof, where, how);
        assertTrue(
            !harness.isConsistent(
                uint64(first),
                uint64(second),
                LogTree.root(leaves, first),
                LogTree.root(leaves, second),
                proof
            ),
            "mutated"
        );
    }

    function testFuzz_Consistency_FalseForDegenerateSizes(uint64 first, uint64 second) public view {
        first = uint64(bound(first, second, type(uint64).max));
        bytes32[] memory none = new bytes32[](0);
        assertTrue(!harness.isConsistent(first, second, 0, 0, none), "not grown");
        assertTrue(!harness.isConsistent(0, second, 0, 0, none), "from nothing");
    }

    function testFuzz_Inclusion_HoldsForEveryLeaf(uint256 index, uint256 size) public view {
        size = bound(size, 1, MAX_SIZE);
        index = bound(index, 0, size - 1);
        bytes32[] memory proof = LogTree.inclusionProof(leaves, index, size);
        bytes32 root = LogTree.root(leaves, size);
        assertTrue(
            harness.isIncluded(uint64(index), uint64(size), leaves[index], root, proof), "leaf"
        );
        assertTrue(
            !harness.isIncluded(uint64(index), uint64(size), keccak256("x"), root, proof), "other"
        );
        assertTrue(
            size == 1
                || !harness.isIncluded(
                    uint64((index + 1) % size), uint64(size), leaves[index], root, proof
                ),
            "other index"
        );
    }

    function testFuzz_Inclusion_FailsForAMutatedProof(
        uint256 index,
        uint256 size,
        uint256 where,
        uint256 how
    ) public view {
        size = bound(size, 2, MAX_SIZE);
        index = bound(index, 0, size - 1);
        bytes32[] memory proof = LogTree.inclusionProof(leaves, index, size);
        proof = _mutate(proof, where, how);
        bytes32 root = LogTree.root(leaves, size);
        assertTrue(
            !harness.isIncluded(uint64(index), uint64(size), leaves[index], root, proof), "mutated"
        );
    }

    /// @dev Any other length answers false and never reverts; nor does a place outside the tree.
    function test_Proofs_OfEveryOtherLength() public view {
        for (uint64 size = 2; size <= 20; ++size) {
            bytes32 root = LogTree.root(leaves, size);
            for (uint64 other = 1; other < size; ++other) {
                bytes32[] memory proof = LogTree.consistencyProof(leaves, other, size);
                bytes32 first = LogTree.root(leaves, other);
                for (uint256 i = 0; i < proof.length + 2; ++i) {
                    bool isIt = harness.isConsistent(other, size, first, root, _cut(proof, i));
                    assertTrue(isIt == (i == proof.length), "consistency");
                }
                assertTrue(!harness.isConsistent(size, other, root, first, proof), "backwards");
                proof = LogTree.inclusionProof(leaves, other, size);
                for (uint256 i = 0; i < proof.length + 2; ++i) {
                    bool isIt = harness.isIncluded(other, size, leaves[other], root, _cut(proof, i));
                    assertTrue(isIt == (i == proof.length), "inclusion");
                }
                for (uint64 index = size; index < 4 * size; ++index) {
                    assertTrue(
                        !harness.isIncluded(index, size, leaves[other], root, proof), "outside"
                    );
                }
            }
        }
    }

    function _cut(bytes32[] memory proof, uint256 length)
        internal
        pure
        returns (bytes32[] memory cut)
    {
        cut = new bytes32[](length);
        for (uint256 i = 0; i < length && i < proof.length; ++i) {
            cut[i] = proof[i];
        }
    }

    /// @dev Garbage of any shape answers false and never reverts.
    function testFuzz_Garbage_IsFalse(
        uint64 first,
        uint64 second,
        bytes32 left,
        bytes32 right,
        bytes32[] calldata proof
    ) public view {
        vm.assume(left != right && proof.length != 0);
        assertTrue(!harness.isConsistent(first, second, left, right, proof), "consistency");
        assertTrue(!harness.isIncluded(first, second, left, right, proof), "inclusion");
    }

    function _consistent(
        bytes32[] memory old,
        bytes32[] memory grown,
        uint256 first,
        uint256 second
    ) internal view returns (bool) {
        return harness.isConsistent(
            uint64(first),
            uint64(second),
            LogTree.root(old, first),
            LogTree.root(grown, second),
            LogTree.consistencyProof(grown, first, second)
        );
    }

    /// @dev Flip a bit of a node, drop the last node, or append one.
    function _mutate(bytes32[] memory proof, uint256 where, uint256 how)
        internal
        pure
        returns (bytes32[] memory mutated)
    {
        if (how % 3 == 0) {
            proof[where % proof.length] ^= bytes32(uint256(1) << (how % 256));
            return proof;
        }
        uint256 length = how % 3 == 1 ? proof.length - 1 : proof.length + 1;
        mutated = new bytes32[](length);
        for (uint256 i = 0; i < length; ++i) {
            mutated[i] = i < proof.length ? proof[i] : keccak256(abi.encode(where));
        }
    }
}
