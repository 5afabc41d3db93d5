// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Checkpoint, Counts, Quorum, Statement} from "adtally/types/DataTypes.sol";
import {LogTree} from "../../support/LogTree.sol";
import {Stage} from "./Stage.sol";

/// @notice What operator and attestors do: honest quorums, a hostile majority, minorities, and
/// attestors that were replaced.
abstract contract Attestors is Stage {
    uint256 internal constant ORDER =
        0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
    uint64 internal constant MAX_LOG = 60;

    uint64 public largestHead;
    address[] internal replaced;
    uint256 internal successors;

    function operator_anchors(uint256 growth) external counted("anchors") {
        uint64 size = anchoredSize + uint64(bound(growth, 1, 5));
        if (size > MAX_LOG) return;
        _anchor(size);
        largestHead = size;
    }

    function quorum_settles(uint256 which, uint256 shows, uint256 clicks, uint256 dice)
        external
        counted("settles")
    {
        uint32 id = _pick(which);
        Ghost storage ghost = ghosts[id];
        Counts memory a = ghost.a;
        Counts memory b = ghost.b;
        a.impressions += uint64(shows % 60_000);
        b.viewables += uint64(shows % 40_000);
        b.clicks += uint64(clicks % 200);
        _state(id, a, b, ghost.corrections, dice % 8 == 0);
    }

    /// @dev Late invalid traffic: events are taken back, as far as the holdback allows.
    function quorum_corrects(uint256 which, uint256 shows, uint256 clicks, uint256 dice)
        external
        counted("corrections")
    {
        _correct(_pick(which), shows, clicks, dice % 8 == 0);
    }

    function _correct(uint32 id, uint256 shows, uint256 clicks, bool isFinal) internal {
        Ghost storage ghost = ghosts[id];
        Counts memory a = ghost.a;
        Counts memory b = ghost.b;
        a.impressions -= uint64(bound(shows, 0, a.impressions / 10));
        b.clicks -= uint64(bound(clicks, 0, b.clicks / 10));
        if (_due(id, PUB_A, a) < _lowest(id, ghost.peakA)) return;
        if (_due(id, PUB_B, b) < _lowest(id, ghost.peakB)) return;
        _state(id, a, b, ghost.corrections + 1, isFinal);
    }

    /// @dev k attestors collude: any sum, lines that no event ever backed, any corrections.
    function hostileQuorum_settles(uint256 total, uint256 shows, uint256 dice)
        external
        counted("hostile settles")
    {
        uint32 id = BETRAYED;
        Counts memory a = Counts(uint32(shows), 1, uint16(shows), 1);
        Counts memory b = Counts(uint16(shows), 1, 2, 3);
        Statement memory statement = _statement(id, _next(id), a, b);
        statement.linesTotal = uint128(bound(total, 0, 20_000 * DOLLAR));
        statement.corrections = uint64(dice % 16);
        statement.isFinal = dice % 8 == 0;
        _submit(id, statement, a, b, false);
    }

    /// @dev k attestors sign a log that differs in an old entry.
    function hostileQuorum_forks(uint256 where, uint256 growth) external {
        if (anchoredSize == 0) return;
        uint64 size = anchoredSize + uint64(bound(growth, 0, 5));
        _grow(size);
        bytes32[] memory forged = logLeaves;
        forged[bound(where, 0, anchoredSize - 1)] = keccak256("forged");
        Checkpoint memory next = Checkpoint(size, LogTree.root(forged, size));
        bytes32[] memory proof = LogTree.consistencyProof(forged, anchoredSize, size);
        Quorum memory quorum = _quorum(eventLog.checkpointDigest(next), 5);
        try eventLog.anchor(_checkpoint(anchoredSize), next, proof, quorum) {
            breaches.push("a fork was anchored");
        } catch {}
    }

    /// @dev Fewer than k, repeated, under another threshold, malleated, or signed for another
    /// statement.
    function minority_settles(uint256 which, uint256 how) external {
        uint32 id = _pick(which);
        Statement memory statement = _statement(id, _next(id), ghosts[id].a, ghosts[id].b);
        bytes32 digest = escrow.statementDigest(statement);
        Quorum memory quorum = _quorum(digest, 2);
        bytes memory two = quorum.signatures;
        if (how % 5 == 1) quorum.signatures = abi.encodePacked(two, _sign(digest, attestors[0]));
        if (how % 5 == 2) quorum.threshold = 2;
        if (how % 5 == 3) quorum.signatures = abi.encodePacked(two, _malleated(digest));
        if (how % 5 == 4) {
            quorum = _quorum(escrow.statementDigest(statement), THRESHOLD);
            statement.linesTotal += 1;
        }
        try escrow.settle(statement, quorum) {
            breaches.push("a minority settled");
        } catch {}
    }

    function quorum_namesSuccessor(uint256 dice) external counted("successors") {
        if (dice % 8 != 0) return;
        address[] memory next = _newAttestors(successors % 2 == 0 ? "second" : "third", 5);
        (uint32 version,) = eventLog.attestorSet(attestorSet);
        bytes32 digest = eventLog.successorDigest(attestorSet, version + 1, next, THRESHOLD);
        eventLog.nameSuccessor(attestorSet, next, THRESHOLD, _quorum(digest, 3));
        replaced = attestors;
        attestors = next;
        ++successors;
    }

    /// @dev The set before signs as if nothing had happened.
    function replacedAttestors_settle(uint256 which) external {
        if (replaced.length == 0) return;
        uint32 id = _pick(which);
        Statement memory statement = _statement(id, _next(id), ghosts[id].a, ghosts[id].b);
        bytes32 digest = escrow.statementDigest(statement);
        address[] memory current = attestors;
        attestors = replaced;
        Quorum memory quorum = _quorum(digest, 5);
        attestors = current;
        try escrow.settle(statement, quorum) {
            breaches.push("replaced attestors settled");
        } catch {}
    }

    function trueRoot(uint64 size) external view returns (bytes32) {
        return _checkpoint(size).rootHash;
    }

    function _state(uint32 id, Counts memory a, Counts memory b, uint64 corrections, bool isFinal)
        internal
    {
        Statement memory statement = _statement(id, _next(id), a, b);
        statement.linesTotal = uint128(_due(id, PUB_A, a) + _due(id, PUB_B, b));
        statement.corrections = corrections;
        statement.isFinal = isFinal;
        if (!_submit(id, statement, a, b, true)) return;
        Ghost storage ghost = ghosts[id];
        (ghost.a, ghost.b, ghost.corrections) = (a, b, corrections);
        uint256 dueA = _due(id, PUB_A, a);
        uint256 dueB = _due(id, PUB_B, b);
        if (dueA > ghost.peakA) ghost.peakA = dueA;
        if (dueB > ghost.peakB) ghost.peakB = dueB;
    }

    /// @dev A valid third signature with s in the upper half.
    function _malleated(bytes32 digest) internal view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(keyOf[attestors[2]], digest);
        return abi.encodePacked(r, bytes32(ORDER - uint256(s)), v == 27 ? uint8(28) : 27);
    }
}
