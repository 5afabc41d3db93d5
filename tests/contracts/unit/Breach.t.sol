// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

import {EventLog} from "adtally/EventLog.sol";
import {OperatorBond} from "adtally/OperatorBond.sol";
import {IEventLog} from "adtally/interfaces/IEventLog.sol";
import {IOperatorBond} from "adtally/interfaces/IOperatorBond.sol";
import {Checkpoint, ProvenEntry, Receipt} from "adtally/types/DataTypes.sol";
import {BondWorld} from "../support/BondWorld.sol";
import {Entries} from "../support/Entries.sol";
import {LogTree} from "../support/LogTree.sol";

/// @notice Every breach can be proven, and nothing that an honest operator did is one.
contract BreachTest is BondWorld {
    bytes32[] internal noProof;

    // ---------------------------------------------------------------- another root

    function test_OtherRoot_AtAnAnchoredSize() public {
        Receipt memory lie = _receipt();
        lie.rootHash = keccak256("fork");
        bytes memory signature = _signed(lie);
        _anchor(RECEIPT_SIZE);
        vm.expectEmit(address(bond));
        emit IOperatorBond.BreachProven(
            IOperatorBond.Breach.OtherRoot,
            bond.receiptDigest(lie),
            address(this),
            PENALTY / 2,
            PENALTY / 2
        );
        bond.proveOtherRoot(lie, signature, _head(), _head().rootHash, noProof);
        assertTrue(bond.isPunished(bond.receiptDigest(lie)), "noted");
        _rootReverts(
            lie,
            _head().rootHash,
            noProof,
            abi.encodeWithSelector(IOperatorBond.AlreadyPunished.selector, bond.receiptDigest(lie))
        );
    }

    /// @dev No anchor ever stood at the receipt's size: the log's own root there is proven.
    function test_OtherRoot_BelowAnAnchoredSize() public {
        Receipt memory lie = _receipt();
        bytes32 told = lie.rootHash;
        _replace(1, Entries.record(Entries.ACCEPTED, PUB_B, bytes16(uint128(42)), 7));
        _more(4);
        _anchor(RECEIPT_SIZE + 4);
        bytes32 root = LogTree.root(logLeaves, RECEIPT_SIZE);
        assertTrue(root != told, "history was rewritten after the receipt");
        bytes32[] memory proof = LogTree.consistencyProof(logLeaves, RECEIPT_SIZE, anchoredSize);
        bond.proveOtherRoot(lie, _signed(lie), _head(), root, proof);
        assertEq(bond.bond(), BOND - PENALTY, "punished");
    }

    function test_RevertWhen_TheRootIsTheReceipts() public {
        Receipt memory receipt = _receipt();
        _more(4);
        _anchor(RECEIPT_SIZE + 4);
        bytes32[] memory proof = LogTree.consistencyProof(logLeaves, RECEIPT_SIZE, anchoredSize);
        _rootReverts(
            receipt,
            receipt.rootHash,
            proof,
            abi.encodeWithSelector(IOperatorBond.RootAgrees.selector, RECEIPT_SIZE)
        );
        // An invented root proves nothing, with the true proof or without one.
        bytes memory reason = abi.encodeWithSelector(
            IOperatorBond.ConsistencyProofInvalid.selector, RECEIPT_SIZE, anchoredSize
        );
        _rootReverts(receipt, keccak256("invented"), proof, reason);
        _rootReverts(receipt, keccak256("invented"), noProof, reason);
    }

    function test_RevertWhen_SizesAreEqualAndTheRootIsInvented() public {
        Receipt memory receipt = _receipt();
        _anchor(RECEIPT_SIZE);
        bytes memory reason = abi.encodeWithSelector(
            IOperatorBond.ConsistencyProofInvalid.selector, RECEIPT_SIZE, RECEIPT_SIZE
        );
        _rootReverts(receipt, keccak256("invented"), noProof, reason);
        receipt.rootHash = keccak256("fork");
        bytes32[] memory one = new bytes32[](1);
        _rootReverts(receipt, _head().rootHash, one, reason);
    }

    function test_RevertWhen_TheCheckpointIsNotAnchored() public {
        Receipt memory lie = _receipt();
        lie.rootHash = keccak256("fork");
        bytes memory signature = _signed(lie);
        _more(2);
        Checkpoint memory never = _checkpoint(RECEIPT_SIZE);
        bytes memory reason =
            abi.encodeWithSelector(IEventLog.NotAnchored.selector, RECEIPT_SIZE, never.rootHash);
        vm.expectRevert(reason);
        bond.proveOtherRoot(lie, signature, never, never.rootHash, noProof);
        ProvenEntry memory found = ProvenEntry(
            FIRST, entries[FIRST], LogTree.inclusionProof(logLeaves, FIRST, RECEIPT_SIZE)
        );
        lie.sequence += 1;
        signature = _signed(lie);
        vm.expectRevert(reason);
        bond.proveOtherEnvelope(lie, signature, never, found);
    }

    // ---------------------------------------------------------------- another entry

    function test_OtherEnvelope_EachFieldCounts() public {
        _anchor(RECEIPT_SIZE);
        Receipt memory lie = _receipt();
        lie.member = PUB_B;
        bond.proveOtherEnvelope(lie, _signed(lie), _head(), _found(FIRST));
        lie = _receipt();
        lie.sequence += 1;
        bond.proveOtherEnvelope(lie, _signed(lie), _head(), _found(FIRST));
        lie = _receipt();
        lie.count -= 1;
        bond.proveOtherEnvelope(lie, _signed(lie), _head(), _found(FIRST));
        lie = _receipt();
        lie.firstIndex += 1;
        bond.proveOtherEnvelope(lie, _signed(lie), _head(), _found(FIRST + 1));
        assertEq(bond.bond(), BOND - 4 * PENALTY, "four lies");
    }

    function test_RevertWhen_TheEnvelopeIsTheReceipts() public {
        _anchor(RECEIPT_SIZE);
        Receipt memory receipt = _receipt();
        bytes memory signature = _signed(receipt);
        ProvenEntry memory found = _found(FIRST);
        Checkpoint memory head = _head();
        vm.expectRevert(abi.encodeWithSelector(IOperatorBond.EntryAgrees.selector, FIRST));
        bond.proveOtherEnvelope(receipt, signature, head, found);
        // An entry elsewhere is no answer to what stands at the receipt's index.
        found = _found(FIRST + 1);
        vm.expectRevert(_outside(FIRST + 1));
        bond.proveOtherEnvelope(receipt, signature, head, found);
        found.index = FIRST;
        vm.expectRevert(
            abi.encodeWithSelector(IEventLog.InclusionProofInvalid.selector, FIRST, RECEIPT_SIZE)
        );
        bond.proveOtherEnvelope(receipt, signature, head, found);
    }

    function test_OtherRecord_ChangedAfterTheReceipt() public {
        Receipt memory receipt = _receipt();
        // The operator logs record 2 with another event id.
        _replace(FIRST + 3, Entries.record(Entries.ACCEPTED, PUB_A, bytes16(uint128(77)), 2));
        _anchor(RECEIPT_SIZE);
        bond.proveOtherRecord(
            receipt, _signed(receipt), _head(), _found(FIRST + 3), _sent(2), _recordProof(2)
        );
        assertEq(bond.bond(), BOND - PENALTY, "punished");
    }

    /// @dev All that was sent and one byte more, or less, is another entry.
    function test_OtherRecord_LongerOrShorter() public {
        Receipt memory receipt = _receipt();
        bytes memory logged = _logged(0);
        _replace(FIRST + 1, bytes.concat(logged, bytes1(0)));
        bytes memory shorter = _logged(1);
        assembly {
            mstore(shorter, sub(mload(shorter), 1))
        }
        _replace(FIRST + 2, shorter);
        _anchor(RECEIPT_SIZE);
        for (uint32 i = 0; i < 2; ++i) {
            receipt.anchorDeadline += i;
            bond.proveOtherRecord(
                receipt, _signed(receipt), _head(), _found(FIRST + 1 + i), _sent(i), _recordProof(i)
            );
        }
        assertEq(bond.bond(), BOND - 2 * PENALTY, "punished");
    }

    function test_OtherRecord_TooShortToBeCompared() public {
        Receipt memory receipt = _receipt();
        _replace(FIRST + 1, hex"01");
        _anchor(RECEIPT_SIZE);
        bond.proveOtherRecord(
            receipt, _signed(receipt), _head(), _found(FIRST + 1), _sent(0), _recordProof(0)
        );
        assertEq(bond.bond(), BOND - PENALTY, "punished");
    }

    function test_OtherRecord_NoRecordAtAll() public {
        Receipt memory receipt = _receipt();
        _replace(FIRST + 1, Entries.envelope(PUB_A, 1, 1));
        _anchor(RECEIPT_SIZE);
        bond.proveOtherRecord(
            receipt, _signed(receipt), _head(), _found(FIRST + 1), _sent(0), _recordProof(0)
        );
        assertEq(bond.bond(), BOND - PENALTY, "punished");
    }

    /// @dev Whatever the verdict, the record is the one that was sent.
    function test_RevertWhen_TheRecordIsTheSenders() public {
        _replace(FIRST + 2, Entries.record(Entries.DUPLICATE, PUB_A, bytes16(uint128(2)), 1));
        _anchor(RECEIPT_SIZE);
        for (uint32 i = 0; i < BATCH; ++i) {
            uint64 index = FIRST + 1 + i;
            _recordReverts(
                _found(index),
                _sent(i),
                _recordProof(i),
                abi.encodeWithSelector(IOperatorBond.EntryAgrees.selector, index)
            );
        }
    }

    function test_RevertWhen_TheRecordIsNotInTheReceipt() public {
        _more(3);
        _anchor(RECEIPT_SIZE + 3);
        bytes memory reason = abi.encodeWithSelector(IOperatorBond.RecordNotInReceipt.selector, 1);
        _recordReverts(_found(FIRST + 2), _sent(2), _recordProof(2), reason);
        _recordReverts(_found(FIRST + 2), _sent(1), _recordProof(2), reason);
        _recordReverts(_found(FIRST + 2), _logged(1), _recordProof(1), reason);
        _recordReverts(_found(FIRST), _sent(0), _recordProof(0), _outside(FIRST));
        _recordReverts(_found(FIRST - 1), _sent(0), _recordProof(0), _outside(FIRST - 1));
        uint64 behind = RECEIPT_SIZE;
        _recordReverts(_found(behind), _sent(4), _recordProof(4), _outside(behind));
        // A node of the records' tree is no record.
        bytes32[] memory leaves = _recordLeaves();
        bytes memory node = abi.encodePacked(leaves[0], leaves[1]);
        _recordReverts(
            _found(FIRST + 1),
            node,
            _recordProof(2),
            abi.encodeWithSelector(IOperatorBond.RecordNotInReceipt.selector, 0)
        );
    }

    // ---------------------------------------------------------------- no anchor

    function test_Late_OncePerOutage() public {
        _anchor(FIRST);
        Receipt memory receipt = _receipt();
        bytes memory signature = _signed(receipt);
        vm.warp(START + PROMISE + 1);
        bond.proveLate(receipt, signature);
        assertEq(bond.bond(), BOND - PENALTY, "punished");
        Receipt memory second = _receipt();
        second.sequence += 1;
        bytes32 id = keccak256(abi.encode("late", FIRST));
        bytes memory other = _signed(second);
        vm.expectRevert(abi.encodeWithSelector(IOperatorBond.AlreadyPunished.selector, id));
        bond.proveLate(second, other);
        // The next outage is another one.
        _anchor(FIRST + 1);
        bond.proveLate(second, other);
        assertEq(bond.bond(), BOND - 2 * PENALTY, "punished again");
    }

    function test_RevertWhen_NotLate() public {
        Receipt memory receipt = _receipt();
        bytes memory signature = _signed(receipt);
        vm.warp(START + PROMISE);
        vm.expectRevert(_notLate(0));
        bond.proveLate(receipt, signature);
        _anchor(RECEIPT_SIZE);
        vm.warp(START + PROMISE + 1);
        vm.expectRevert(_notLate(RECEIPT_SIZE));
        bond.proveLate(receipt, signature);
    }

    // ---------------------------------------------------------------- counted twice

    function test_DoubleCount_SameEventAtTwoIndices() public {
        _append(Entries.record(Entries.ACCEPTED, PUB_A, bytes16(uint128(2)), 99));
        _anchor(RECEIPT_SIZE + 1);
        bond.proveDoubleCount(_head(), _found(FIRST + 2), _found(RECEIPT_SIZE));
        assertEq(bond.bond(), BOND - PENALTY, "punished");
        bytes32 id = keccak256(abi.encode(Entries.IMPRESSION, PUB_A, bytes16(uint128(2))));
        assertTrue(bond.isPunished(id), "noted");
        _doubleReverts(
            _found(RECEIPT_SIZE),
            _found(FIRST + 2),
            abi.encodeWithSelector(IOperatorBond.AlreadyPunished.selector, id)
        );
    }

    /// @dev Who takes a log over does not answer for what was counted before, only for what it adds.
    function test_DoubleCount_OfALogTakenOver() public {
        _append(_logged(0));
        _anchor(RECEIPT_SIZE + 1);
        bond = new OperatorBond(_newLog(_head()), address(dollar), PENALTY);
        _deposit(BOND);
        _doubleReverts(
            _found(FIRST + 1),
            _found(RECEIPT_SIZE),
            abi.encodeWithSelector(IOperatorBond.TakenOver.selector, RECEIPT_SIZE + 1)
        );
        eventLog = EventLog(address(bond.EVENT_LOG()));
        _append(_logged(1));
        _anchor(RECEIPT_SIZE + 2);
        bond.proveDoubleCount(_head(), _found(FIRST + 2), _found(RECEIPT_SIZE + 1));
        assertEq(bond.bond(), BOND - PENALTY, "its own");
    }

    /// @dev Planted duplicates, other publishers' ids, one index shown twice: none is a breach.
    function test_RevertWhen_NotCountedTwice() public {
        _append(Entries.record(Entries.DUPLICATE, PUB_A, bytes16(uint128(1)), 0));
        _append(Entries.record(Entries.ACCEPTED, PUB_B, bytes16(uint128(2)), 1));
        _append(Entries.envelope(PUB_A, 1, 1));
        _append(hex"06");
        // An advertiser's conversion can't take the id of a publisher's impression.
        bytes16 id = bytes16(uint128(1));
        _append(Entries.recordOf(Entries.CLICK, Entries.ACCEPTED, PUB_A, id, 0));
        _anchor(RECEIPT_SIZE + 5);
        bytes memory reason = abi.encodeWithSelector(IOperatorBond.NotCountedTwice.selector);
        _doubleReverts(_found(FIRST + 1), _found(RECEIPT_SIZE), reason);
        _doubleReverts(_found(RECEIPT_SIZE), _found(FIRST + 1), reason);
        _doubleReverts(_found(FIRST + 2), _found(RECEIPT_SIZE + 1), reason);
        _doubleReverts(_found(FIRST + 1), _found(FIRST + 1), reason);
        _doubleReverts(_found(FIRST + 1), _found(FIRST + 2), reason);
        _doubleReverts(_found(FIRST), _found(RECEIPT_SIZE + 2), reason);
        _doubleReverts(_found(RECEIPT_SIZE + 3), _found(FIRST + 1), reason);
        _doubleReverts(_found(RECEIPT_SIZE + 4), _found(FIRST + 1), reason);
    }

    function test_RevertWhen_ADoubleIsNotInTheLog() public {
        _anchor(RECEIPT_SIZE);
        ProvenEntry memory copy = _found(FIRST + 2);
        copy.entry = entries[FIRST + 1];
        bytes memory reason = abi.encodeWithSelector(
            IEventLog.InclusionProofInvalid.selector, FIRST + 2, RECEIPT_SIZE
        );
        _doubleReverts(_found(FIRST + 1), copy, reason);
        _doubleReverts(copy, _found(FIRST + 1), reason);
        ProvenEntry memory elsewhere = _found(FIRST + 1);
        elsewhere.index = FIRST + 2;
        _doubleReverts(_found(FIRST + 1), elsewhere, reason);
    }

    // ---------------------------------------------------------------- who promised, and when

    function test_RevertWhen_TheSignerIsNotTheOperator() public {
        _anchor(FIRST);
        vm.warp(START + PROMISE + 1);
        Receipt memory receipt = _receipt();
        bytes memory signature = _signedBy(0xBAD, receipt);
        vm.expectRevert(
            abi.encodeWithSelector(IOperatorBond.SignerNotOperator.selector, vm.addr(0xBAD), 0)
        );
        bond.proveLate(receipt, signature);
        // The signature covers every field.
        signature = _signed(receipt);
        receipt.anchorDeadline -= 1;
        vm.expectRevert();
        bond.proveLate(receipt, signature);
        vm.expectRevert(abi.encodeWithSelector(ECDSA.ECDSAInvalidSignatureLength.selector, 64));
        bond.proveLate(receipt, new bytes(64));
    }

    function test_RevertWhen_AnyProofLacksTheOperatorsSignature() public {
        Receipt memory lie = _receipt();
        lie.rootHash = keccak256("fork");
        lie.sequence += 1;
        _replace(FIRST + 1, Entries.envelope(PUB_A, 1, 1));
        _anchor(RECEIPT_SIZE);
        bytes memory signature = _signedBy(0xBAD, lie);
        bytes memory reason =
            abi.encodeWithSelector(IOperatorBond.SignerNotOperator.selector, vm.addr(0xBAD), 0);
        Checkpoint memory head = _head();
        ProvenEntry memory envelope = _found(FIRST);
        ProvenEntry memory record = _found(FIRST + 1);
        vm.expectRevert(reason);
        bond.proveOtherRoot(lie, signature, head, head.rootHash, noProof);
        vm.expectRevert(reason);
        bond.proveOtherEnvelope(lie, signature, head, envelope);
        bytes memory sent = _sent(0);
        bytes32[] memory proof = _recordProof(0);
        vm.expectRevert(reason);
        bond.proveOtherRecord(lie, signature, head, record, sent, proof);
    }

    /// @dev Changing the key, however often, ends no promise made with it.
    function test_Late_ProvenWithARetiredKey() public {
        Receipt memory receipt = _receipt();
        bytes memory signature = _signed(receipt);
        vm.startPrank(accountOf(OPERATOR));
        membership.changeEventKey(address(0x1111), 0);
        membership.changeEventKey(address(0x2222), 0);
        vm.stopPrank();
        vm.warp(START + PROMISE + 1);
        bond.proveLate(receipt, signature);
        assertEq(bond.bond(), BOND - PENALTY, "punished");
    }

    /// @dev A key stolen after it was retired signs receipts with later deadlines: worth nothing.
    function test_RevertWhen_ARetiredKeySignsLater() public {
        vm.prank(accountOf(OPERATOR));
        membership.changeEventKey(address(0x1111), 1 days);
        uint64 validUntil = START + 1 days;
        Receipt memory receipt = _receipt();
        receipt.anchorDeadline = validUntil + 7 days + 1;
        vm.warp(receipt.anchorDeadline + 1);
        bytes memory signature = _signed(receipt);
        vm.expectRevert(
            abi.encodeWithSelector(
                IOperatorBond.SignerNotOperator.selector, vm.addr(OPERATOR_KEY), validUntil
            )
        );
        bond.proveLate(receipt, signature);
        receipt.anchorDeadline = validUntil + 7 days;
        bond.proveLate(receipt, _signed(receipt));
    }

    function test_RevertWhen_FiledTooLate() public {
        Receipt memory receipt = _receipt();
        bytes memory signature = _signed(receipt);
        vm.warp(receipt.anchorDeadline + 30 days + 1);
        vm.expectRevert(
            abi.encodeWithSelector(
                IOperatorBond.ReceiptExpired.selector,
                receipt.anchorDeadline,
                receipt.anchorDeadline + 1
            )
        );
        bond.proveLate(receipt, signature);
        vm.warp(receipt.anchorDeadline + 30 days);
        bond.proveLate(receipt, signature);
    }

    function test_Late_ZeroDeadlineIsExpired() public {
        Receipt memory receipt = _receipt();
        receipt.anchorDeadline = 0;
        bytes memory signature = _signed(receipt);
        vm.expectRevert(
            abi.encodeWithSelector(IOperatorBond.ReceiptExpired.selector, 0, START - 30 days)
        );
        bond.proveLate(receipt, signature);
    }

    // ---------------------------------------------------------------- helpers

    function _more(uint256 count) internal {
        for (uint256 i = 0; i < count; ++i) {
            _append(Entries.record(Entries.ACCEPTED, PUB_B, bytes16(uint128(500 + i)), 200 + i));
        }
    }

    function _rootReverts(
        Receipt memory receipt,
        bytes32 rootHash,
        bytes32[] memory proof,
        bytes memory reason
    ) internal {
        bytes memory signature = _signed(receipt);
        Checkpoint memory head = _head();
        vm.expectRevert(reason);
        bond.proveOtherRoot(receipt, signature, head, rootHash, proof);
    }

    function _recordReverts(
        ProvenEntry memory found,
        bytes memory record,
        bytes32[] memory proof,
        bytes memory reason
    ) internal {
        Receipt memory receipt = _receipt();
        bytes memory signature = _signed(receipt);
        Checkpoint memory head = _head();
        vm.expectRevert(reason);
        bond.proveOtherRecord(receipt, signature, head, found, record, proof);
    }

    function _doubleReverts(
        ProvenEntry memory first,
        ProvenEntry memory second,
        bytes memory reason
    ) internal {
        Checkpoint memory head = _head();
        vm.expectRevert(reason);
        bond.proveDoubleCount(head, first, second);
    }

    function _outside(uint64 index) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IOperatorBond.EntryOutsideBatch.selector, index, FIRST, BATCH);
    }

    function _notLate(uint64 headSize) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(
            IOperatorBond.NotLate.selector, RECEIPT_SIZE, headSize, START + PROMISE
        );
    }
}
