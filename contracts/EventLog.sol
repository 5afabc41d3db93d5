// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

import {AttestorSets} from "adtally/AttestorSets.sol";
import {IEventLog} from "adtally/interfaces/IEventLog.sol";
import {IMembership} from "adtally/interfaces/IMembership.sol";
import {Rfc9162} from "adtally/libraries/Rfc9162.sol";
import {Checkpoint, Quorum} from "adtally/types/DataTypes.sol";

/// @title Anchors of one append-only log, and the attestor sets that sign for it
/// @dev An anchor is one word: size (48 bits), number (24 bits), and 184 bits of
/// keccak256(size, root). Who asks brings the root. Two roots with one word would take 2^92 hashes
/// and k attestors who sign both; the whole root is in the event, where anyone would see it.
/// The head has a slot of its own and moves into the ring when the next anchor comes, so an anchor
/// costs two writes. The ring's words are ordered by size: an anchor is found by binary search.
contract EventLog is IEventLog, AttestorSets {
    bytes32 internal constant CHECKPOINT_TYPEHASH =
        keccak256("Checkpoint(uint64 treeSize,bytes32 rootHash)");

    uint256 internal constant COMMITMENT_BITS = 184;
    uint256 internal constant SIZE_SHIFT = 208;
    uint256 internal constant COMMITMENT_MASK = (1 << COMMITMENT_BITS) - 1;

    /// @inheritdoc IEventLog
    uint256 public constant override RING_SIZE = 64;

    /// @inheritdoc IEventLog
    uint64 public constant override MAX_TREE_SIZE = type(uint48).max;

    /// @inheritdoc IEventLog
    uint64 public constant override MAX_ANCHORS = type(uint24).max;

    /// @inheritdoc IEventLog
    IMembership public immutable override MEMBERSHIP;

    /// @inheritdoc IEventLog
    uint32 public immutable override OPERATOR;

    /// @inheritdoc IEventLog
    uint32 public immutable override ATTESTOR_SET;

    /// @inheritdoc IEventLog
    uint64 public immutable override TAKEN_SIZE;

    /// @dev The newest anchor; 0 before the first.
    uint256 internal _head;

    /// @dev Older anchors: number n (from 1) stands at n % RING_SIZE.
    uint256[RING_SIZE] internal _ring;

    /// @param membership Where members are.
    /// @param operator Member whose event key signs receipts.
    /// @param attestors Set that attests this log's checkpoints, sorted ascending; its id is 1.
    /// @param threshold How many of it must sign; more than half.
    /// @param taken An older log's last anchor that this log continues; zeros for a new log.
    constructor(
        IMembership membership,
        uint32 operator,
        address[] memory attestors,
        uint8 threshold,
        Checkpoint memory taken
    ) EIP712("adtally EventLog", "1") {
        // Check: reverts for an unknown member; what it answers is of no use here.
        // slither-disable-next-line unused-return
        membership.member(operator);
        if (taken.treeSize == 0 && taken.rootHash != 0) revert PreviousNotHead(0, taken.rootHash);

        // Effect
        MEMBERSHIP = membership;
        OPERATOR = operator;
        TAKEN_SIZE = taken.treeSize;
        ATTESTOR_SET = _createAttestorSet(attestors, threshold);
        if (taken.treeSize != 0) _store(taken.treeSize, taken.rootHash, 1);
    }

    /// @inheritdoc IEventLog
    function anchor(
        Checkpoint calldata previous,
        Checkpoint calldata next,
        bytes32[] calldata proof,
        Quorum calldata quorum
    ) external override {
        // Check
        uint256 head = _head;
        _requireHead(head, previous);
        if (next.treeSize <= previous.treeSize) {
            revert TreeNotGrown(previous.treeSize, next.treeSize);
        }
        bool isExtension = head == 0
            ? proof.length == 0
            : Rfc9162.isConsistent(
                previous.treeSize, next.treeSize, previous.rootHash, next.rootHash, proof
            );
        if (!isExtension) revert NotAnExtension(previous.treeSize, next.treeSize);
        requireQuorum(ATTESTOR_SET, checkpointDigest(next), quorum);

        // Effect
        uint64 number = _numberOf(head);
        if (head != 0) _ring[number % RING_SIZE] = head;
        _store(next.treeSize, next.rootHash, number + 1);
    }

    /// @inheritdoc IEventLog
    function requireAttested(uint32 set, uint64 treeSize, bytes32 digest, Quorum calldata quorum)
        external
        view
        override
    {
        uint64 size = headSize();
        if (treeSize == 0 || treeSize > size) revert TreeNotAnchored(treeSize, size);
        requireQuorum(set, digest, quorum);
    }

    /// @inheritdoc IEventLog
    function verifyInclusion(
        Checkpoint calldata anchored,
        uint64 index,
        bytes32 leafHash,
        bytes32[] calldata proof
    ) external view override {
        if (!isAnchored(anchored)) {
            revert NotAnchored(anchored.treeSize, anchored.rootHash);
        }
        if (!Rfc9162.isIncluded(index, anchored.treeSize, leafHash, anchored.rootHash, proof)) {
            revert InclusionProofInvalid(index, anchored.treeSize);
        }
    }

    /// @inheritdoc IEventLog
    function anchorCount() external view override returns (uint64) {
        return _numberOf(_head);
    }

    /// @inheritdoc IEventLog
    function DOMAIN_SEPARATOR() external view override returns (bytes32) {
        return _domainSeparatorV4();
    }

    /// @inheritdoc IEventLog
    function headSize() public view override returns (uint64) {
        return uint64(_head >> SIZE_SHIFT);
    }

    /// @inheritdoc IEventLog
    function isAnchored(Checkpoint calldata anchored) public view override returns (bool) {
        uint256 head = _head;
        uint64 size = anchored.treeSize;
        if (size == head >> SIZE_SHIFT) return _isWordOf(head, size, anchored.rootHash);
        // The oldest number kept whose size is not below `anchored`'s: only that one can be it, and
        // no word is the one of a size that was never anchored.
        uint256 high = _numberOf(head);
        uint256 low = high > RING_SIZE ? high - RING_SIZE : 1;
        while (low < high) {
            uint256 middle = (low + high) / 2;
            if (_ring[middle % RING_SIZE] >> SIZE_SHIFT < size) low = middle + 1;
            else high = middle;
        }
        return _isWordOf(_ring[low % RING_SIZE], size, anchored.rootHash);
    }

    /// @inheritdoc IEventLog
    function checkpointDigest(Checkpoint calldata checkpoint)
        public
        view
        override
        returns (bytes32)
    {
        return _hashTypedDataV4(
            keccak256(abi.encode(CHECKPOINT_TYPEHASH, checkpoint.treeSize, checkpoint.rootHash))
        );
    }

    function _requireHead(uint256 head, Checkpoint calldata previous) internal pure {
        bool isHead = head == 0
            ? previous.treeSize == 0 && previous.rootHash == 0
            : _isWordOf(head, previous.treeSize, previous.rootHash);
        if (!isHead) revert PreviousNotHead(previous.treeSize, previous.rootHash);
    }

    function _store(uint64 treeSize, bytes32 rootHash, uint64 number) internal {
        if (treeSize > MAX_TREE_SIZE) revert TreeTooLarge(treeSize, MAX_TREE_SIZE);
        if (number > MAX_ANCHORS) revert AnchorsExhausted(MAX_ANCHORS);
        _head = (uint256(treeSize) << SIZE_SHIFT) | (uint256(number) << COMMITMENT_BITS)
            | _commitment(treeSize, rootHash);
        emit Anchored(treeSize, rootHash, number);
    }

    function _numberOf(uint256 word) internal pure returns (uint64) {
        return uint24(word >> COMMITMENT_BITS);
    }

    /// @dev Whether `word` is the anchor of this size and root, whatever its number.
    function _isWordOf(uint256 word, uint64 treeSize, bytes32 rootHash)
        internal
        pure
        returns (bool)
    {
        return word >> SIZE_SHIFT == treeSize
            && word & COMMITMENT_MASK == _commitment(treeSize, rootHash);
    }

    function _commitment(uint64 treeSize, bytes32 rootHash) internal pure returns (uint256) {
        return uint256(keccak256(abi.encode(treeSize, rootHash))) & COMMITMENT_MASK;
    }
}
