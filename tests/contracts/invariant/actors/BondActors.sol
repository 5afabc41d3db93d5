// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {OperatorBond} from "adtally/OperatorBond.sol";
import {Checkpoint, ProvenEntry, Receipt} from "adtally/types/DataTypes.sol";
import {BondWorld} from "../../support/BondWorld.sol";
import {Entries} from "../../support/Entries.sol";
import {LogTree} from "../../support/LogTree.sol";

/// @notice An operator that is honest except where it is told to lie, finders of its lies, and
/// strangers who accuse it of what it did not do.
contract BondActors is BondWorld {
    struct Promise {
        Receipt receipt;
        bytes signature;
        bytes32[] records;
        bytes[] sent;
    }

    uint64 internal constant MAX_LOG = 60;

    Promise[] internal promises;
    Promise[] internal lies;
    uint256 internal batches;
    uint256 internal keys;
    uint256 internal operatorKey = OPERATOR_KEY;

    uint256 public deposited;
    uint256 public withdrawn;
    uint256 public penalties;
    uint256 public proven;
    string[] public breaches;

    function setUp() public override {
        super.setUp();
        deposited = BOND;
    }

    function time_passes(uint256 seconds_) external {
        vm.warp(block.timestamp + bound(seconds_, 1, 5 days));
    }

    // ---------------------------------------------------------------- operator

    function operator_logsABatch(uint256 count) external {
        count = bound(count, 1, 3);
        if (entries.length + count >= MAX_LOG) return;
        promises.push();
        Promise storage made = promises[promises.length - 1];
        uint64 first = uint64(entries.length);
        _append(Entries.envelope(PUB_A, uint64(++batches), uint32(count)));
        for (uint256 i = 0; i < count; ++i) {
            bytes16 id = bytes16(uint128(10_000 + batches * 10 + i));
            made.sent.push(Entries.record(0, PUB_A, id, i));
            made.records.push(Entries.leaf(made.sent[i]));
            _append(Entries.record(Entries.ACCEPTED, PUB_A, id, i));
        }
        made.receipt = Receipt({
            member: PUB_A,
            sequence: uint64(batches),
            recordsRoot: LogTree.root(made.records, count),
            firstIndex: first,
            count: uint32(count),
            treeSize: uint64(entries.length),
            rootHash: LogTree.root(logLeaves, entries.length),
            anchorDeadline: uint64(block.timestamp) + PROMISE
        });
        made.signature = _signedBy(operatorKey, made.receipt);
    }

    function operator_anchors() external {
        if (anchoredSize < entries.length) _anchor(uint64(entries.length));
    }

    function operator_changesItsKey() external {
        operatorKey = uint256(keccak256(abi.encode("operator", ++keys)));
        vm.prank(accountOf(OPERATOR));
        membership.changeEventKey(vm.addr(operatorKey), 0);
    }

    /// @dev A receipt for a batch that is not where, or not what, it says.
    function operator_lies(uint256 which, uint256 how) external {
        if (promises.length == 0) return;
        Promise storage made = promises[which % promises.length];
        Receipt memory receipt = made.receipt;
        if (how % 2 == 0) receipt.rootHash = keccak256(abi.encode("lie", how));
        else receipt.sequence += 1000;
        receipt.anchorDeadline = uint64(block.timestamp) + PROMISE;
        lies.push();
        lies[lies.length - 1].receipt = receipt;
        lies[lies.length - 1].signature = _signedBy(operatorKey, receipt);
    }

    /// @dev Seldom, because every request starts the delay anew.
    function operator_requestsWithdrawal(uint256 amount) external {
        if (amount % 32 != 0) return;
        uint256 some = bound(amount, 0, bond.bond());
        vm.prank(accountOf(OPERATOR));
        bond.requestWithdrawal(uint128(some));
    }

    function operator_withdraws() external {
        vm.prank(accountOf(OPERATOR));
        try bond.withdraw() returns (uint128 amount) {
            withdrawn += amount;
        } catch {}
    }

    function anyone_deposits(uint256 amount) external {
        amount = bound(amount, 1, 5000 * DOLLAR);
        _deposit(amount);
        deposited += amount;
    }

    function stranger_donates(uint256 amount) external {
        dollar.mint(address(bond), amount % DOLLAR);
    }

    // ---------------------------------------------------------------- finders

    function finder_provesALie(uint256 which) external {
        if (lies.length == 0 || anchoredSize == 0) return;
        Promise storage lie = lies[which % lies.length];
        Receipt memory receipt = lie.receipt;
        if (receipt.treeSize > anchoredSize) return;
        bytes memory signature = lie.signature;
        Checkpoint memory head = _head();
        uint256 before = bond.bond();
        uint256 had = dollar.balanceOf(address(this));
        bytes32 root = LogTree.root(logLeaves, receipt.treeSize);
        if (root != receipt.rootHash) {
            bytes32[] memory proof = receipt.treeSize == anchoredSize
                ? new bytes32[](0)
                : LogTree.consistencyProof(logLeaves, receipt.treeSize, anchoredSize);
            try bond.proveOtherRoot(receipt, signature, head, root, proof) {} catch {}
        } else {
            ProvenEntry memory found = _found(receipt.firstIndex);
            try bond.proveOtherEnvelope(receipt, signature, head, found) {} catch {}
        }
        uint256 taken = before - bond.bond();
        uint256 paid = dollar.balanceOf(address(this)) - had;
        penalties += taken;
        if (taken != 0) ++proven;
        if (paid > taken / 2) breaches.push("a finder was paid more than half");
    }

    // ---------------------------------------------------------------- accusers

    /// @dev Whatever is shown of an honest promise, none of it is a breach.
    function stranger_accuses(uint256 which, uint256 shown, uint256 how, bytes32 noise) external {
        if (promises.length == 0 || anchoredSize == 0) return;
        Promise storage made = promises[which % promises.length];
        uint256 before = bond.bond();
        if (how % 4 == 0) _accuseOfAnotherRoot(made, noise);
        if (how % 4 == 1) _accuseOfAnotherEnvelope(made, uint64(shown % anchoredSize));
        if (how % 4 == 2) _accuseOfAnotherRecord(made, uint64(shown % anchoredSize), noise);
        if (how % 4 == 3) _accuseOfCountingTwice(shown, uint256(noise));
        if (bond.bond() != before) breaches.push("an honest promise was punished");
    }

    /// @dev Only an anchor that really is missing is late.
    function anyone_reportsLateness(uint256 which) external {
        if (promises.length == 0) return;
        Promise storage made = promises[which % promises.length];
        uint256 before = bond.bond();
        bool isLate =
            anchoredSize < made.receipt.treeSize && block.timestamp > made.receipt.anchorDeadline;
        try bond.proveLate(made.receipt, made.signature) {
            if (!isLate) breaches.push("an anchor in time was punished");
            penalties += before - bond.bond();
            ++proven;
        } catch {}
    }

    function _accuseOfAnotherRoot(Promise storage made, bytes32 noise) internal {
        Receipt memory receipt = made.receipt;
        bytes32[] memory proof = new bytes32[](0);
        if (receipt.treeSize < anchoredSize) {
            proof = LogTree.consistencyProof(logLeaves, receipt.treeSize, anchoredSize);
            if (uint8(noise[0]) % 2 == 0 && proof.length != 0) proof[0] = noise;
        }
        try bond.proveOtherRoot(receipt, made.signature, _head(), noise, proof) {} catch {}
    }

    function _accuseOfAnotherEnvelope(Promise storage made, uint64 index) internal {
        ProvenEntry memory found = _found(index);
        try bond.proveOtherEnvelope(made.receipt, made.signature, _head(), found) {} catch {}
        found.index = made.receipt.firstIndex;
        try bond.proveOtherEnvelope(made.receipt, made.signature, _head(), found) {} catch {}
    }

    function _accuseOfAnotherRecord(Promise storage made, uint64 index, bytes32 noise) internal {
        uint256 i = uint256(noise) % made.sent.length;
        bytes32[] memory proof = LogTree.inclusionProof(made.records, i, made.records.length);
        ProvenEntry memory found = _found(index);
        Receipt memory receipt = made.receipt;
        try bond.proveOtherRecord(receipt, made.signature, _head(), found, made.sent[i], proof) {}
            catch {}
        found.index = receipt.firstIndex + 1 + uint64(i);
        try bond.proveOtherRecord(receipt, made.signature, _head(), found, made.sent[i], proof) {}
            catch {}
    }

    function _accuseOfCountingTwice(uint256 shown, uint256 other) internal {
        ProvenEntry memory first = _found(uint64(shown % anchoredSize));
        ProvenEntry memory second = _found(uint64(other % anchoredSize));
        try bond.proveDoubleCount(_head(), first, second) {} catch {}
        second.entry = first.entry;
        try bond.proveDoubleCount(_head(), first, second) {} catch {}
    }

    // ---------------------------------------------------------------- for the invariants

    function parts() external view returns (OperatorBond, uint256 balance) {
        return (bond, dollar.balanceOf(address(bond)));
    }

    function breachCount() external view returns (uint256) {
        return breaches.length;
    }
}
