// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {EventLog} from "adtally/EventLog.sol";
import {IAttestorSets} from "adtally/interfaces/IAttestorSets.sol";
import {IEventLog} from "adtally/interfaces/IEventLog.sol";
import {IMembership} from "adtally/interfaces/IMembership.sol";
import {Checkpoint, Quorum} from "adtally/types/DataTypes.sol";
import {LogTree} from "../support/LogTree.sol";
import {World} from "../support/World.sol";

contract EventLogTest is World {
    /// @dev Behind EIP712's two fallback strings, the number of sets and the sets.
    uint256 internal constant HEAD_SLOT = 4;

    bytes32[] internal noProof;

    function test_Anchor_FirstNeedsNoProof() public {
        assertEq(eventLog.headSize(), 0, "empty");
        _anchor(7);
        assertEq(eventLog.headSize(), 7, "head");
        assertEq(eventLog.anchorCount(), 1, "count");
        assertTrue(eventLog.isAnchored(_checkpoint(7)), "anchored");
    }

    function test_Anchor_GrowsByProvenExtension() public {
        _anchor(7);
        _anchor(8);
        _anchor(13);
        assertEq(eventLog.headSize(), 13, "head");
        assertTrue(eventLog.isAnchored(_checkpoint(7)), "first");
        assertTrue(eventLog.isAnchored(_checkpoint(8)), "second");
        assertTrue(eventLog.isAnchored(_checkpoint(13)), "third");
        assertTrue(!eventLog.isAnchored(_checkpoint(9)), "never anchored");
        assertTrue(!eventLog.isAnchored(Checkpoint(8, bytes32(uint256(1)))), "other root");
        assertTrue(!eventLog.isAnchored(Checkpoint(0, 0)), "zero");
        assertTrue(!eventLog.isAnchored(Checkpoint(14, 0)), "beyond");
    }

    function test_RevertWhen_AnchorRewritesHistory() public {
        _anchor(7);
        // Another log that differs in leaf 3 and is attested nevertheless.
        _grow(9);
        bytes32[] memory forged = logLeaves;
        forged[3] = keccak256("forged");
        Checkpoint memory next = Checkpoint(9, LogTree.root(forged, 9));
        bytes32[] memory proof = LogTree.consistencyProof(forged, 7, 9);
        Quorum memory quorum = _quorum(eventLog.checkpointDigest(next), 5);
        Checkpoint memory head = _checkpoint(7);
        vm.expectRevert(abi.encodeWithSelector(IEventLog.NotAnExtension.selector, 7, 9));
        eventLog.anchor(head, next, proof, quorum);

        // Nor can the old root be swapped for the forged log's own.
        Checkpoint memory other = Checkpoint(7, LogTree.root(forged, 7));
        vm.expectRevert(
            abi.encodeWithSelector(IEventLog.PreviousNotHead.selector, 7, other.rootHash)
        );
        eventLog.anchor(other, next, proof, quorum);
    }

    function test_RevertWhen_TreeShrinksOrStays() public {
        _anchor(7);
        Quorum memory quorum = _quorum(eventLog.checkpointDigest(_checkpoint(7)), 3);
        Checkpoint memory head = _checkpoint(7);
        vm.expectRevert(abi.encodeWithSelector(IEventLog.TreeNotGrown.selector, 7, 7));
        eventLog.anchor(head, head, noProof, quorum);
        Checkpoint memory fork = Checkpoint(7, keccak256("fork"));
        vm.expectRevert(abi.encodeWithSelector(IEventLog.TreeNotGrown.selector, 7, 7));
        eventLog.anchor(head, fork, noProof, quorum);
        Checkpoint memory smaller = _checkpoint(5);
        vm.expectRevert(abi.encodeWithSelector(IEventLog.TreeNotGrown.selector, 7, 5));
        eventLog.anchor(head, smaller, noProof, quorum);
    }

    function test_RevertWhen_PreviousIsNotTheHead() public {
        _anchor(7);
        _anchor(9);
        _grow(12);
        Checkpoint memory old = _checkpoint(7);
        Checkpoint memory next = _checkpoint(12);
        bytes32[] memory proof = LogTree.consistencyProof(logLeaves, 7, 12);
        Quorum memory quorum = _quorum(eventLog.checkpointDigest(next), 3);
        vm.expectRevert(abi.encodeWithSelector(IEventLog.PreviousNotHead.selector, 7, old.rootHash));
        eventLog.anchor(old, next, proof, quorum);
        vm.expectRevert(abi.encodeWithSelector(IEventLog.PreviousNotHead.selector, 0, 0));
        eventLog.anchor(Checkpoint(0, 0), next, noProof, quorum);
    }

    function test_RevertWhen_FirstAnchorHasAProofOrPrevious() public {
        _grow(4);
        Checkpoint memory next = _checkpoint(4);
        Quorum memory quorum = _quorum(eventLog.checkpointDigest(next), 3);
        bytes32[] memory one = new bytes32[](1);
        vm.expectRevert(abi.encodeWithSelector(IEventLog.NotAnExtension.selector, 0, 4));
        eventLog.anchor(Checkpoint(0, 0), next, one, quorum);
        Checkpoint memory invented = _checkpoint(2);
        vm.expectRevert(
            abi.encodeWithSelector(IEventLog.PreviousNotHead.selector, 2, invented.rootHash)
        );
        eventLog.anchor(invented, next, noProof, quorum);
        for (uint64 size = 0; size < 2; ++size) {
            Checkpoint memory half = Checkpoint(size, bytes32(uint256(1 - size)));
            vm.expectRevert(
                abi.encodeWithSelector(IEventLog.PreviousNotHead.selector, size, half.rootHash)
            );
            eventLog.anchor(half, next, noProof, quorum);
        }
        vm.expectRevert(abi.encodeWithSelector(IEventLog.TreeNotGrown.selector, 0, 0));
        eventLog.anchor(Checkpoint(0, 0), Checkpoint(0, 0), noProof, quorum);
    }

    function test_RevertWhen_AnchorNotAttested() public {
        _grow(4);
        Checkpoint memory next = _checkpoint(4);
        Quorum memory quorum = _quorum(eventLog.checkpointDigest(next), 2);
        vm.expectRevert(abi.encodeWithSelector(IAttestorSets.SignaturesTooFew.selector, 2, 3));
        eventLog.anchor(Checkpoint(0, 0), next, noProof, quorum);
        // Attested for another log: the domain holds the contract's address.
        EventLog other = _newLog(Checkpoint(0, 0));
        quorum = _quorum(eventLog.checkpointDigest(next), 3);
        vm.expectRevert();
        other.anchor(Checkpoint(0, 0), next, noProof, quorum);
    }

    function test_RevertWhen_TreeTooLarge() public {
        uint64 size = uint64(type(uint48).max) + 1;
        Checkpoint memory next = Checkpoint(size, keccak256("huge"));
        Quorum memory quorum = _quorum(eventLog.checkpointDigest(next), 3);
        vm.expectRevert(
            abi.encodeWithSelector(IEventLog.TreeTooLarge.selector, size, type(uint48).max)
        );
        eventLog.anchor(Checkpoint(0, 0), next, noProof, quorum);
    }

    function test_Head_OfTheLargestTree() public {
        uint64 size = type(uint48).max;
        EventLog huge = _newLog(Checkpoint(size, keccak256("huge")));
        assertEq(huge.headSize(), size, "size");
        assertEq(huge.TAKEN_SIZE(), size, "taken");
    }

    /// @dev 184 bits stand for a root: no other one is taken for it.
    function test_IsAnchored_NoOtherRoot() public {
        _anchor(7);
        for (uint256 i = 0; i < 256; ++i) {
            Checkpoint memory other = Checkpoint(7, keccak256(abi.encode(i)));
            assertTrue(!eventLog.isAnchored(other), "another root");
            other.rootHash = _checkpoint(7).rootHash ^ bytes32(uint256(1) << i);
            assertTrue(!eventLog.isAnchored(other), "one bit");
        }
    }

    function test_Ring_KeepsTheLastAnchors() public {
        uint64 kept = uint64(eventLog.RING_SIZE());
        for (uint64 last = 1; last <= 150; ++last) {
            _anchorUnproven(last);
            assertEq(eventLog.anchorCount(), last, "count");
            bool isLooked = last < 3 || last % kept < 2 || last % kept == kept - 1 || last % 50 == 0;
            if (!isLooked) continue;
            for (uint64 size = 1; size <= last; ++size) {
                bool isKept = size + kept >= last;
                Checkpoint memory checkpoint = Checkpoint(size * 3, _rootOf(size));
                assertTrue(eventLog.isAnchored(checkpoint) == isKept, "kept or not");
                checkpoint.treeSize += 1;
                assertTrue(!eventLog.isAnchored(checkpoint), "size between anchors");
            }
        }
        assertTrue(!eventLog.isAnchored(Checkpoint(0, 0)), "nothing");
        assertTrue(!eventLog.isAnchored(Checkpoint(451, _rootOf(150))), "above the head");
    }

    function test_VerifyInclusion_EveryLeafInEveryKeptAnchor() public {
        _anchor(5);
        _anchor(13);
        for (uint64 size = 5; size <= 13; size += 8) {
            for (uint64 i = 0; i < size; ++i) {
                bytes32[] memory proof = LogTree.inclusionProof(logLeaves, i, size);
                eventLog.verifyInclusion(_checkpoint(size), i, logLeaves[i], proof);
            }
        }
    }

    function test_RevertWhen_InclusionWrong() public {
        _anchor(13);
        Checkpoint memory head = _checkpoint(13);
        bytes32[] memory proof = LogTree.inclusionProof(logLeaves, 4, 13);
        bytes memory reason =
            abi.encodeWithSelector(IEventLog.InclusionProofInvalid.selector, 4, 13);
        vm.expectRevert(reason);
        eventLog.verifyInclusion(head, 4, logLeaves[5], proof);
        vm.expectRevert(reason);
        eventLog.verifyInclusion(head, 4, logLeaves[4], noProof);
        vm.expectRevert(abi.encodeWithSelector(IEventLog.InclusionProofInvalid.selector, 13, 13));
        eventLog.verifyInclusion(head, 13, logLeaves[4], proof);
        Checkpoint memory never = _checkpoint(12);
        vm.expectRevert(abi.encodeWithSelector(IEventLog.NotAnchored.selector, 12, never.rootHash));
        eventLog.verifyInclusion(never, 4, logLeaves[4], proof);
    }

    function test_Takeover_ContinuesAnOlderLog() public {
        _grow(20);
        Checkpoint memory old = _checkpoint(11);
        EventLog next = _newLog(old);
        assertEq(next.headSize(), 11, "head");
        assertEq(next.anchorCount(), 1, "count");
        assertTrue(next.isAnchored(old), "old anchor");
        Checkpoint memory grown = _checkpoint(20);
        bytes32[] memory proof = LogTree.consistencyProof(logLeaves, 11, 20);
        next.anchor(old, grown, proof, _quorum(next.checkpointDigest(grown), 3));
        assertEq(next.headSize(), 20, "grown");
    }

    function test_RevertWhen_DeployedWithUnknownParts() public {
        Checkpoint memory none = Checkpoint(0, 0);
        vm.expectRevert(abi.encodeWithSelector(IMembership.MemberUnknown.selector, 99));
        new EventLog(membership, 99, attestors, THRESHOLD, none);
        vm.expectRevert(abi.encodeWithSelector(IAttestorSets.ThresholdInvalid.selector, 2, 5));
        new EventLog(membership, OPERATOR, attestors, 2, none);
        bytes32 root = keccak256("root");
        vm.expectRevert(abi.encodeWithSelector(IEventLog.PreviousNotHead.selector, 0, root));
        _newLog(Checkpoint(0, root));
        uint64 size = uint64(type(uint48).max) + 1;
        vm.expectRevert(
            abi.encodeWithSelector(IEventLog.TreeTooLarge.selector, size, type(uint48).max)
        );
        _newLog(Checkpoint(size, root));
    }

    function test_RevertWhen_AnchorsExhausted() public {
        _anchor(2);
        uint256 head = uint256(vm.load(address(eventLog), bytes32(HEAD_SLOT)));
        head += uint256(type(uint24).max - 2) << 184;
        vm.store(address(eventLog), bytes32(HEAD_SLOT), bytes32(head));
        _anchor(3);
        assertEq(eventLog.anchorCount(), eventLog.MAX_ANCHORS(), "full");
        _grow(5);
        Checkpoint memory last = _checkpoint(3);
        Checkpoint memory next = _checkpoint(5);
        bytes32[] memory proof = LogTree.consistencyProof(logLeaves, 3, 5);
        Quorum memory quorum = _quorum(eventLog.checkpointDigest(next), 3);
        vm.expectRevert(
            abi.encodeWithSelector(IEventLog.AnchorsExhausted.selector, type(uint24).max)
        );
        eventLog.anchor(last, next, proof, quorum);
    }

    function test_RequireAttested_NeedsAnchorAndQuorum() public {
        bytes32 digest = keccak256("digest");
        Quorum memory quorum = _quorum(digest, 3);
        _anchor(7);
        for (uint64 size = 1; size <= 7; ++size) {
            eventLog.requireAttested(attestorSet, size, digest, quorum);
        }
        vm.expectRevert(abi.encodeWithSelector(IEventLog.TreeNotAnchored.selector, 0, 7));
        eventLog.requireAttested(attestorSet, 0, digest, quorum);
        vm.expectRevert(abi.encodeWithSelector(IEventLog.TreeNotAnchored.selector, 8, 7));
        eventLog.requireAttested(attestorSet, 8, digest, quorum);
        quorum = _quorum(digest, 2);
        vm.expectRevert(abi.encodeWithSelector(IAttestorSets.SignaturesTooFew.selector, 2, 3));
        eventLog.requireAttested(attestorSet, 7, digest, quorum);
    }

    function test_Deployment_IsReadable() public view {
        assertEq(address(eventLog.MEMBERSHIP()), address(membership), "membership");
        assertEq(eventLog.OPERATOR(), OPERATOR, "operator");
        assertEq(eventLog.ATTESTOR_SET(), attestorSet, "set");
        assertTrue(eventLog.DOMAIN_SEPARATOR() != 0, "domain");
    }

    function _rootOf(uint64 number) internal pure returns (bytes32) {
        return keccak256(abi.encode("root", number));
    }

    /// @dev Writes head and ring as `anchor` does, sparing 150 quorums and proofs.
    function _anchorUnproven(uint64 number) internal {
        bytes32 head = vm.load(address(eventLog), bytes32(HEAD_SLOT));
        if (number > 1) {
            uint256 place = (number - 1) % eventLog.RING_SIZE();
            vm.store(address(eventLog), bytes32(HEAD_SLOT + 1 + place), head);
        }
        uint256 commitment = uint256(keccak256(abi.encode(uint64(number * 3), _rootOf(number))));
        uint256 word =
            (uint256(number * 3) << 208) | (uint256(number) << 184) | (commitment << 72 >> 72);
        vm.store(address(eventLog), bytes32(HEAD_SLOT), bytes32(word));
        assertEq(eventLog.headSize(), number * 3, "layout of the head");
    }
}
