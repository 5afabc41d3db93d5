// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {EventLog} from "adtally/EventLog.sol";
import {Rfc9162} from "adtally/libraries/Rfc9162.sol";
import {Checkpoint, ClaimLine, Counts, Quorum, Statement} from "adtally/types/DataTypes.sol";
import {World} from "../support/World.sol";

/// @notice Gas of whole transactions on warm state, held under ceilings.
/// @dev A figure is what a transaction pays: 21,000, its calldata, the execution with every slot and account cold but the callee; and at least the calldata floor of
/// EIP-7623. Refunds are not subtracted. Each test makes one call that counts; all else is setUp.
abstract contract GasBase is World {
    uint256 internal constant PUBLISHERS_DEPTH = 14;

    uint32 internal id;
    bytes internal firstClaim;
    bytes internal repeatClaim;
    bytes internal anchorMillion;
    bytes internal anchorBillion;
    bytes internal settleNext;
    EventLog internal millionLog;
    EventLog internal billionLog;

    function setUp() public virtual override {
        super.setUp();
        millionLog = _logAt(1_000_000);
        billionLog = _logAt(1_000_000_002);
        anchorMillion = _nextAnchor(millionLog, 1_000_000, 1_100_000, 16);
        anchorBillion = _nextAnchor(billionLog, 1_000_000_002, 1_050_000_000, 30);

        id = _running();
        dollar.mint(payoutOf(PUB_A), 1);
        dollar.mint(payoutOf(ADVERTISER), 1);
        _anchor(5);
        _settleDeep(1, 1000);
        _settleDeep(2, 2000);
        _settleDeep(3, 3000);
        firstClaim = abi.encodeCall(escrow.claim, (_deepLine(3000)));
        (Statement memory next,) = _deepStatement(4, 4000);
        Quorum memory quorum = _quorum(escrow.statementDigest(next), 3);
        dollar.mint(accountOf(ADVERTISER), 10);
        vm.prank(accountOf(ADVERTISER));
        dollar.approve(address(escrow), 10);
        settleNext = abi.encodeCall(escrow.settle, (next, quorum));
    }

    function _measure(string memory name, address target, bytes memory data, uint256 ceiling)
        internal
    {
        assertTrue(target.code.length != 0, "warm the callee, as a transaction does");
        (bool success,) = target.call(data);
        uint256 execution = vm.lastCallGas().gasTotalUsed;
        assertTrue(success, "call");
        uint256 tokens = 0;
        for (uint256 i = 0; i < data.length; ++i) {
            tokens += data[i] == 0 ? 1 : 4;
        }
        uint256 used = 21_000 + 4 * tokens + execution;
        uint256 floor = 21_000 + 10 * tokens;
        uint256 gas = used > floor ? used : floor;
        emit log_named_uint(name, gas);
        if (ceiling != 0) assertLe(gas, ceiling, name);
    }

    // ---------------------------------------------------------------- anchors

    /// @dev A log whose ring is full: the slot that comes next is not zero.
    function _logAt(uint64 size) internal returns (EventLog log) {
        bytes32 root = _rootOf(size);
        log = new EventLog(membership, OPERATOR, attestorSet, size, root);
        for (uint256 i = 0; i < log.RING_SIZE(); ++i) {
            if (i != 1) vm.store(address(log), bytes32(3 + i), keccak256(abi.encode(i)));
        }
        assertTrue(log.isAnchored(Checkpoint(size, root)), "head is intact");
    }

    bytes32[] internal _path;

    function _rootOf(uint64 size) internal returns (bytes32 root) {
        _path = new bytes32[](0);
        (uint64 second, uint256 nodes) =
            size == 1_000_000 ? (uint64(1_100_000), uint256(16)) : (uint64(1_050_000_000), 30);
        (root,) = _impliedRoots(size, second, _randomPath(nodes));
    }

    function _nextAnchor(EventLog log, uint64 first, uint64 second, uint256 nodes)
        internal
        view
        returns (bytes memory)
    {
        bytes32[] memory proof = _randomPath(nodes);
        (bytes32 firstRoot, bytes32 secondRoot) = _impliedRoots(first, second, proof);
        Checkpoint memory next = Checkpoint(second, secondRoot);
        Quorum memory quorum = _quorum(log.checkpointDigest(next), 3);
        return abi.encodeCall(log.anchor, (Checkpoint(first, firstRoot), next, proof, quorum));
    }

    function _randomPath(uint256 nodes) internal pure returns (bytes32[] memory path) {
        path = new bytes32[](nodes);
        for (uint256 i = 0; i < nodes; ++i) {
            path[i] = keccak256(abi.encode("node", i));
        }
    }

    /// @dev Any nodes are a proof between the two roots that they imply.
    function _impliedRoots(uint64 first, uint64 second, bytes32[] memory proof)
        internal
        view
        returns (bytes32 fr, bytes32 sr)
    {
        uint256 fn = first - 1;
        uint256 sn = second - 1;
        while (fn & 1 == 1) (fn, sn) = (fn >> 1, sn >> 1);
        fr = sr = proof[0];
        for (uint256 i = 1; i < proof.length; ++i) {
            assertTrue(sn != 0, "proof too long");
            if (fn & 1 == 1 || fn == sn) {
                fr = Rfc9162.nodeHash(proof[i], fr);
                sr = Rfc9162.nodeHash(proof[i], sr);
                while (fn & 1 == 0 && fn != 0) (fn, sn) = (fn >> 1, sn >> 1);
            } else {
                sr = Rfc9162.nodeHash(sr, proof[i]);
            }
            (fn, sn) = (fn >> 1, sn >> 1);
        }
        assertEq(sn, 0, "proof too short");
    }

    // ---------------------------------------------------------------- deep claim trees

    function _siblings() internal pure returns (bytes32[] memory proof) {
        proof = new bytes32[](PUBLISHERS_DEPTH);
        for (uint256 i = 0; i < PUBLISHERS_DEPTH; ++i) {
            proof[i] = keccak256(abi.encode("sibling", i));
        }
    }

    function _deepCounts(uint64 impressions) internal pure returns (Counts memory) {
        return Counts(impressions, impressions / 2, impressions / 100, impressions / 1000);
    }

    function _deepLine(uint64 impressions) internal view returns (ClaimLine memory) {
        return ClaimLine(id, PUB_A, _deepCounts(impressions), _siblings());
    }

    /// @dev A root over any siblings: as good as a tree of 2^14 lines.
    function _deepStatement(uint32 sequence, uint64 impressions)
        internal
        view
        returns (Statement memory statement, ClaimLine memory line)
    {
        line = _deepLine(impressions);
        bytes32 node = escrow.lineLeaf(id, PUB_A, line.counts);
        for (uint256 i = 0; i < PUBLISHERS_DEPTH; ++i) {
            bytes32 sibling = line.proof[i];
            node = node < sibling
                ? keccak256(abi.encode(node, sibling))
                : keccak256(abi.encode(sibling, node));
        }
        uint128 total = _amount(line.counts);
        statement = Statement(id, sequence, anchoredSize, total, line.counts, node, false);
    }

    function _settleDeep(uint32 sequence, uint64 impressions) internal {
        (Statement memory statement,) = _deepStatement(sequence, impressions);
        _settle(statement);
        vm.warp(block.timestamp + DISPUTE);
    }
}

/// @notice Steady state: the third statement is active, nothing of it is claimed.
contract GasTest is GasBase {
    function test_Gas_Anchor1M3Signatures() public {
        _measure("anchor_1m_3sig", address(millionLog), anchorMillion, 90_000);
    }

    function test_Gas_Anchor1G3Signatures() public {
        _measure("anchor_1g_3sig", address(billionLog), anchorBillion, 107_000);
    }

    function test_Gas_SettleSteady() public {
        _measure("settle", address(escrow), settleNext, 100_000);
    }

    function test_Gas_ClaimFirst() public {
        _measure("claim_first", address(escrow), firstClaim, 98_000);
    }

    function test_Gas_Fund() public {
        vm.startPrank(accountOf(ADVERTISER));
        _measure("fund", address(escrow), abi.encodeCall(escrow.fund, (id, 1)), 70_000);
    }
}

/// @notice What is paid for a second time: a claim after a claim, a refund after a settlement.
contract GasRepeatTest is GasBase {
    bytes internal claim;

    function setUp() public override {
        super.setUp();
        escrow.claim(_deepLine(3000));
        _settleDeep(4, 4000);
        claim = abi.encodeCall(escrow.claim, (_deepLine(4000)));
        vm.warp(FLIGHT_END + LATE + GRACE);
    }

    function test_Gas_ClaimRepeat() public {
        _measure("claim_repeat", address(escrow), claim, 98_000);
    }

    function test_Gas_Refund() public {
        vm.startPrank(accountOf(ADVERTISER));
        _measure("refund", address(escrow), abi.encodeCall(escrow.refund, (id)), 78_000);
    }
}
