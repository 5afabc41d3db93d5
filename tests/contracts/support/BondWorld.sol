// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {OperatorBond} from "adtally/OperatorBond.sol";
import {Checkpoint, ProvenEntry, Receipt} from "adtally/types/DataTypes.sol";
import {Entries} from "./Entries.sol";
import {LogTree} from "./LogTree.sol";
import {World} from "./World.sol";

/// @title A bonded operator with a log of real entries and a receipt for a batch in it
/// @dev Entries 0 to 2 are other things; 3 is the envelope of a batch of BATCH records; further
/// entries follow. The receipt is for the tree right after the batch.
abstract contract BondWorld is World {
    uint256 internal constant OPERATOR_KEY = 0x09E7A70;
    uint128 internal constant PENALTY = uint128(1000 * DOLLAR);
    uint128 internal constant BOND = uint128(10_000 * DOLLAR);
    uint64 internal constant SEQUENCE = 17;
    uint32 internal constant BATCH = 5;
    uint64 internal constant FIRST = 3;
    uint64 internal constant RECEIPT_SIZE = FIRST + 1 + BATCH;
    uint64 internal constant PROMISE = 1 hours;
    address internal constant FINDER = address(0xF1D);

    OperatorBond internal bond;
    bytes[] internal entries;

    function setUp() public virtual override {
        super.setUp();
        vm.prank(accountOf(OPERATOR));
        membership.changeEventKey(vm.addr(OPERATOR_KEY), 0);
        bond = new OperatorBond(eventLog, address(dollar), PENALTY);
        _deposit(BOND);
        for (uint256 i = 0; i < FIRST; ++i) {
            _append(Entries.record(Entries.ACCEPTED, PUB_B, bytes16(uint128(900 + i)), 100 + i));
        }
        _append(Entries.envelope(PUB_A, SEQUENCE, BATCH));
        for (uint32 i = 0; i < BATCH; ++i) {
            _append(_logged(i));
        }
    }

    function _deposit(uint256 amount) internal {
        dollar.mint(address(this), amount);
        dollar.approve(address(bond), amount);
        bond.deposit(amount);
    }

    // ---------------------------------------------------------------- entries

    function _append(bytes memory entry) internal {
        entries.push(entry);
        logLeaves.push(Entries.leaf(entry));
    }

    /// @dev Entry `index` becomes another one, in the log and everywhere in its tree.
    function _replace(uint64 index, bytes memory entry) internal {
        entries[index] = entry;
        logLeaves[index] = Entries.leaf(entry);
    }

    function _sent(uint32 i) internal pure returns (bytes memory) {
        return Entries.record(0, PUB_A, bytes16(uint128(i + 1)), i);
    }

    function _logged(uint32 i) internal pure returns (bytes memory) {
        return Entries.record(Entries.ACCEPTED, PUB_A, bytes16(uint128(i + 1)), i);
    }

    function _found(uint64 index) internal view returns (ProvenEntry memory) {
        bytes32[] memory proof = LogTree.inclusionProof(logLeaves, index, anchoredSize);
        return ProvenEntry(index, entries[index], proof);
    }

    function _head() internal view returns (Checkpoint memory) {
        return _checkpoint(anchoredSize);
    }

    // ---------------------------------------------------------------- receipts

    function _recordLeaves() internal pure returns (bytes32[] memory leaves) {
        leaves = new bytes32[](BATCH);
        for (uint32 i = 0; i < BATCH; ++i) {
            leaves[i] = Entries.leaf(_sent(i));
        }
    }

    function _recordProof(uint32 i) internal pure returns (bytes32[] memory) {
        return LogTree.inclusionProof(_recordLeaves(), i, BATCH);
    }

    /// @dev What an honest operator signs for the batch.
    function _receipt() internal view returns (Receipt memory) {
        return Receipt({
            member: PUB_A,
            sequence: SEQUENCE,
            recordsRoot: LogTree.root(_recordLeaves(), BATCH),
            firstIndex: FIRST,
            count: BATCH,
            treeSize: RECEIPT_SIZE,
            rootHash: LogTree.root(logLeaves, RECEIPT_SIZE),
            anchorDeadline: START + PROMISE
        });
    }

    function _signed(Receipt memory receipt) internal view returns (bytes memory) {
        return _signedBy(OPERATOR_KEY, receipt);
    }

    function _signedBy(uint256 key, Receipt memory receipt) internal view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, bond.receiptDigest(receipt));
        return abi.encodePacked(r, s, v);
    }
}
