// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {EventLog} from "adtally/EventLog.sol";
import {OperatorBond} from "adtally/OperatorBond.sol";
import {Rfc9162} from "adtally/libraries/Rfc9162.sol";
import {
    Checkpoint,
    ClaimLine,
    Counts,
    ProvenEntry,
    Quorum,
    Statement
} from "adtally/types/DataTypes.sol";
import {ClaimTree} from "../support/ClaimTree.sol";
import {BondWorld} from "../support/BondWorld.sol";
import {Entries} from "../support/Entries.sol";
import {Test} from "../support/Test.sol";
import {World} from "../support/World.sol";

/// @notice Gas of whole transactions on warm state, held under ceilings.
/// @dev A figure is what a transaction pays: 21,000, its calldata, the execution with every slot
/// and account cold but the callee; and at least the calldata floor of EIP-7623. Refunds are not
/// subtracted. Each test makes one call that counts; all else is setUp.
abstract contract GasMeter is Test {
    function _measure(string memory name, address target, bytes memory data, uint256 ceiling)
        internal
    {
        uint256 gas = _gasOf(target, data);
        emit log_named_uint(name, gas);
        assertLe(gas, ceiling, name);
    }

    function _gasOf(address target, bytes memory data) internal returns (uint256) {
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
        return used > floor ? used : floor;
    }
}

/// @notice Two logs, one campaign with a deep claim tree.
abstract contract GasBase is World, GasMeter {
    uint256 internal constant PUBLISHERS_DEPTH = 14;

    uint32 internal id;
    bytes internal firstClaim;
    bytes internal repeatClaim;
    bytes internal anchorMillion;
    bytes internal anchorBillion;
    bytes internal anchorAligned;
    bytes internal settleNext;
    EventLog internal millionLog;
    EventLog internal billionLog;
    EventLog internal alignedLog;

    function setUp() public virtual override {
        super.setUp();
        millionLog = _logAt(1_000_000);
        billionLog = _logAt(1_000_000_002);
        alignedLog = _logAt(1_000_013_824);
        anchorMillion = _nextAnchor(millionLog, 1_000_000, 1_100_000, 16);
        anchorBillion = _nextAnchor(billionLog, 1_000_000_002, 1_050_000_000, 30);
        anchorAligned = _nextAnchor(alignedLog, 1_000_013_824, 1_050_000_000, 15);

        id = _running();
        dollar.mint(payoutOf(PUB_A), 1);
        dollar.mint(payoutOf(ADVERTISER), 1);
        dollar.mint(payoutOf(AGENCY), 1);
        _anchor(5);
        _settleDeep(1, 1000);
        _settleDeep(2, 2000);
        _settleDeep(3, 3000);
        firstClaim = abi.encodeCall(escrow.claim, (id, _deepLine(3000)));
        (Statement memory next,) = _deepStatement(4, 4000);
        Quorum memory quorum = _quorum(escrow.statementDigest(next), 3);
        dollar.mint(accountOf(ADVERTISER), 10);
        vm.prank(accountOf(ADVERTISER));
        dollar.approve(address(escrow), 10);
        settleNext = abi.encodeCall(escrow.settle, (next, quorum));
    }

    // ---------------------------------------------------------------- anchors

    /// @dev A log whose ring is full: the slot that comes next is not zero.
    function _logAt(uint64 size) internal returns (EventLog log) {
        bytes32 root = _rootOf(size);
        log = _newLog(Checkpoint(size, root));
        for (uint256 i = 0; i < log.RING_SIZE(); ++i) {
            vm.store(address(log), bytes32(5 + i), keccak256(abi.encode(i)));
        }
        assertTrue(log.isAnchored(Checkpoint(size, root)), "head is intact");
    }

    bytes32[] internal _path;

    function _rootOf(uint64 size) internal returns (bytes32 root) {
        _path = new bytes32[](0);
        (uint64 second, uint256 nodes) = (1_050_000_000, 30);
        if (size == 1_000_000) (second, nodes) = (1_100_000, 16);
        if (size == 1_000_013_824) nodes = 15;
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

    function _pair(bytes32 a, bytes32 b) internal pure returns (bytes32) {
        return a < b ? keccak256(abi.encode(a, b)) : keccak256(abi.encode(b, a));
    }

    function _deepCounts(uint64 impressions) internal pure returns (Counts memory) {
        return Counts(impressions, impressions / 2, impressions / 100, impressions / 1000);
    }

    function _deepLine(uint64 impressions) internal view returns (ClaimLine memory) {
        return ClaimLine(PUB_A, _deepCounts(impressions), _siblings());
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
            node = _pair(node, line.proof[i]);
        }
        uint128 total = _amount(line.counts);
        statement = Statement(id, sequence, anchoredSize, total, line.counts, 0, node, false);
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
        _measure("anchor_1m_3sig", address(millionLog), anchorMillion, 80_000);
    }

    function test_Gas_Anchor1G3Signatures() public {
        _measure("anchor_1g_3sig", address(billionLog), anchorBillion, 95_000);
    }

    /// @dev The old anchor at a multiple of 65,536: the lower half of the proof falls away.
    function test_Gas_Anchor1GAligned3Signatures() public {
        _measure("anchor_1g_3sig_aligned", address(alignedLog), anchorAligned, 79_000);
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
        escrow.claim(id, _deepLine(3000));
        _settleDeep(4, 4000);
        claim = abi.encodeCall(escrow.claim, (id, _deepLine(4000)));
        vm.warp(FLIGHT_END + LATE + GRACE);
    }

    function test_Gas_ClaimRepeat() public {
        _measure("claim_repeat", address(escrow), claim, 80_000);
    }

    function test_Gas_Refund() public {
        vm.startPrank(accountOf(ADVERTISER));
        _measure("refund", address(escrow), abi.encodeCall(escrow.refund, (id)), 100_000);
    }
}

/// @notice A batch of 50 lines of 2^14: neighbours in the claim tree, so that the upper 8 nodes of
/// their proofs are the same.
abstract contract GasManyBase is GasBase {
    uint32 internal constant LINES = 50;
    uint32 internal constant FIRST_MEMBER = 7;

    ClaimLine[] internal lines;
    bytes32 internal node;
    bytes32[] internal nodeProof;

    function setUp() public virtual override {
        super.setUp();
        id = _running();
        for (uint32 i = 0; i < LINES; ++i) {
            _register(FIRST_MEMBER + i, PUBLISHER_ROLE);
            _order(id, FIRST_MEMBER + i, CAP);
            dollar.mint(payoutOf(FIRST_MEMBER + i), 1);
        }
        _settleMany(1, 1000);
        _fill(1000);
    }

    function _measureMany(string memory name, uint256 ceiling) internal {
        bytes memory data = abi.encodeCall(escrow.claimMany, (id, node, nodeProof, lines));
        uint256 before = escrow.campaign(id).claimed;
        uint256 gas = _gasOf(address(escrow), data);
        assertEq(escrow.campaign(id).claimed - before, LINES * _amount(_deepCounts(1000)), "all");
        emit log_named_uint(name, gas / LINES);
        assertLe(gas / LINES, ceiling, name);
    }

    /// @dev 64 lines in a tree of depth 6, and 8 siblings of that tree's ancestors.
    function _tree64(uint64 impressions) internal view returns (bytes32[] memory) {
        bytes32[] memory leaves = new bytes32[](64);
        for (uint32 i = 0; i < 64; ++i) {
            leaves[i] = escrow.lineLeaf(id, FIRST_MEMBER + i, _deepCounts(impressions));
        }
        return ClaimTree.build(leaves);
    }

    function _fill(uint64 impressions) internal {
        delete lines;
        delete nodeProof;
        bytes32[] memory tree = _tree64(impressions);
        node = tree[0];
        for (uint32 i = 0; i < LINES; ++i) {
            Counts memory counts = _deepCounts(impressions);
            bytes32 leaf = escrow.lineLeaf(id, FIRST_MEMBER + i, counts);
            lines.push(ClaimLine(FIRST_MEMBER + i, counts, ClaimTree.proof(tree, leaf)));
        }
        for (uint256 j = 6; j < PUBLISHERS_DEPTH; ++j) {
            nodeProof.push(_siblings()[j]);
        }
    }

    function _settleMany(uint32 sequence, uint64 impressions) internal {
        bytes32 root = _tree64(impressions)[0];
        bytes32[] memory above = _siblings();
        for (uint256 j = 6; j < PUBLISHERS_DEPTH; ++j) {
            root = _pair(root, above[j]);
        }
        Counts memory counts = _deepCounts(impressions);
        uint128 total = _amount(counts) * LINES;
        _settle(Statement(id, sequence, anchoredSize, total, counts, 0, root, false));
        vm.warp(block.timestamp + DISPUTE);
    }
}

contract GasManyTest is GasManyBase {
    function test_Gas_ClaimManyLineFirst() public {
        _measureMany("claim_many_line_first", 40_000);
    }
}

contract GasManyRepeatTest is GasManyBase {
    function setUp() public override {
        super.setUp();
        escrow.claimMany(id, node, nodeProof, lines);
        _settleMany(2, 2000);
        _fill(2000);
    }

    function test_Gas_ClaimManyLineRepeat() public {
        _measureMany("claim_many_line_repeat", 32_000);
    }
}

/// @notice One event accepted at two indices of a log of 2^20 entries, shown to the bond.
contract GasBreachTest is BondWorld, GasMeter {
    uint64 internal constant SIZE = 1 << 20;
    bytes internal proof;

    function setUp() public override {
        super.setUp();
        ProvenEntry memory first = _entry(5, 1);
        ProvenEntry memory second = _entry(SIZE / 2 + 7, 2);
        bytes32 left = _subtree(first);
        bytes32 right = _subtree(second);
        first.proof[19] = right;
        second.proof[19] = left;
        Checkpoint memory head = Checkpoint(SIZE, Rfc9162.nodeHash(left, right));
        bond = new OperatorBond(_logAnchoredAt(head), address(dollar), PENALTY);
        _deposit(BOND);
        dollar.mint(address(this), 1);
        proof = abi.encodeCall(bond.proveDoubleCount, (head, first, second));
    }

    /// @dev Not by a takeover, for what is taken over is not this operator's.
    function _logAnchoredAt(Checkpoint memory head) internal returns (EventLog log) {
        log = _newLog(Checkpoint(0, 0));
        uint256 commitment = uint256(keccak256(abi.encode(head.treeSize, head.rootHash)));
        uint256 word = (uint256(head.treeSize) << 208) | (1 << 184) | (commitment << 72 >> 72);
        vm.store(address(log), bytes32(uint256(4)), bytes32(word));
        assertTrue(log.isAnchored(head), "layout of the head");
    }

    function test_Gas_BreachProof() public {
        _measure("breach_proof", address(bond), proof, 125_000);
        assertEq(bond.bond(), BOND - PENALTY, "with effect");
    }

    function _entry(uint64 index, uint256 seed) internal pure returns (ProvenEntry memory found) {
        found.index = index;
        found.entry = Entries.record(Entries.ACCEPTED, PUB_A, bytes16(uint128(1)), seed);
        found.proof = new bytes32[](20);
        for (uint256 i = 0; i < 19; ++i) {
            found.proof[i] = keccak256(abi.encode("sibling", seed, i));
        }
    }

    /// @dev The half of the tree that the entry is in.
    function _subtree(ProvenEntry memory found) internal view returns (bytes32 node) {
        node = Entries.leaf(found.entry);
        for (uint256 i = 0; i < 19; ++i) {
            node = found.index >> i & 1 == 0
                ? Rfc9162.nodeHash(node, found.proof[i])
                : Rfc9162.nodeHash(found.proof[i], node);
        }
    }
}
