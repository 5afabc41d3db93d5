// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

import {IEventLog} from "adtally/interfaces/IEventLog.sol";
import {IMembership} from "adtally/interfaces/IMembership.sol";
import {Rfc9162} from "adtally/libraries/Rfc9162.sol";
import {Checkpoint, Quorum} from "adtally/types/DataTypes.sol";

/// @title Anchors of one append-only log
/// @dev An anchor is kept as one word: its size in the upper 48 bits, and below it 208 bits of
/// keccak256(size, root). Who asks brings the root. The ring's words are ordered by size, so an
/// anchor is found by binary search.
contract EventLog is IEventLog, EIP712 {
    struct Head {
        uint64 treeSize;
        uint64 anchorCount;
    }

    bytes32 internal constant CHECKPOINT_TYPEHASH =
        keccak256("Checkpoint(uint64 treeSize,bytes32 rootHash)");

    uint256 internal constant COMMITMENT_BITS = 208;

    /// @inheritdoc IEventLog
    uint256 public constant override RING_SIZE = 64;

    /// @inheritdoc IEventLog
    uint64 public constant override MAX_TREE_SIZE = type(uint48).max;

    /// @inheritdoc IEventLog
    IMembership public immutable override MEMBERSHIP;

    /// @inheritdoc IEventLog
    uint32 public immutable override OPERATOR;

    /// @inheritdoc IEventLog
    uint32 public immutable override ATTESTOR_SET;

    Head internal _head;

    /// @dev Anchor number n (from 1) stands at n % RING_SIZE.
    uint256[RING_SIZE] internal _ring;

    /// @param membership Where members and attestor sets are.
    /// @param operator Member whose event key signs receipts.
    /// @param attestorSet Set that attests this log's checkpoints.
    /// @param treeSize Size of an older log's last anchor that this log continues; 0 for a new log.
    /// @param rootHash Root hash of that anchor; 0 for a new log.
    constructor(
        IMembership membership,
        uint32 operator,
        uint32 attestorSet,
        uint64 treeSize,
        bytes32 rootHash
    ) EIP712("adtally EventLog", "1") {
        // Check
        membership.member(operator);
        (uint32 version,) = membership.attestorSet(attestorSet);
        if (version == 0) revert IMembership.AttestorSetUnknown(attestorSet);
        if (treeSize == 0 && rootHash != 0) revert PreviousNotHead(0, rootHash);

        // Effect
        MEMBERSHIP = membership;
        OPERATOR = operator;
        ATTESTOR_SET = attestorSet;
        if (treeSize != 0) _store(treeSize, rootHash, 1);
    }

    /// @inheritdoc IEventLog
    function anchor(
        Checkpoint calldata previous,
        Checkpoint calldata next,
        bytes32[] calldata proof,
        Quorum calldata quorum
    ) external override {
        // Check
        Head memory head = _head;
        _requireHead(head, previous);
        if (next.treeSize <= head.treeSize) revert TreeNotGrown(head.treeSize, next.treeSize);
        bool isExtension = head.treeSize == 0
            ? proof.length == 0
            : Rfc9162.isConsistent(
                previous.treeSize, next.treeSize, previous.rootHash, next.rootHash, proof
            );
        if (!isExtension) revert NotAnExtension(previous.treeSize, next.treeSize);
        MEMBERSHIP.requireQuorum(ATTESTOR_SET, checkpointDigest(next), quorum);

        // Effect
        _store(next.treeSize, next.rootHash, head.anchorCount + 1);
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
    function headSize() external view override returns (uint64) {
        return _head.treeSize;
    }

    /// @inheritdoc IEventLog
    function anchorCount() external view override returns (uint64) {
        return _head.anchorCount;
    }

    /// @inheritdoc IEventLog
    function isAnchored(Checkpoint calldata anchored) public view override returns (bool) {
        Head memory head = _head;
        if (anchored.treeSize == 0 || anchored.treeSize > head.treeSize) return false;
        // The oldest number kept whose size is not below `anchored`'s: only that one can be it.
        uint256 high = head.anchorCount;
        uint256 low = high > RING_SIZE ? high - RING_SIZE + 1 : 1;
        if (anchored.treeSize == head.treeSize) low = high;
        while (low < high) {
            uint256 middle = (low + high) / 2;
            if (_ring[middle % RING_SIZE] >> COMMITMENT_BITS < anchored.treeSize) low = middle + 1;
            else high = middle;
        }
        return _ring[low % RING_SIZE] == _word(anchored.treeSize, anchored.rootHash);
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

    /// @inheritdoc IEventLog
    function DOMAIN_SEPARATOR() external view override returns (bytes32) {
        return _domainSeparatorV4();
    }

    function _requireHead(Head memory head, Checkpoint calldata previous) internal view {
        bool isHead = head.treeSize == 0
            ? previous.treeSize == 0 && previous.rootHash == 0
            : _ring[head.anchorCount % RING_SIZE] == _word(previous.treeSize, previous.rootHash);
        if (!isHead) revert PreviousNotHead(previous.treeSize, previous.rootHash);
    }

    function _store(uint64 treeSize, bytes32 rootHash, uint64 number) internal {
        if (treeSize > MAX_TREE_SIZE) revert TreeTooLarge(treeSize, MAX_TREE_SIZE);
        _head = Head(treeSize, number);
        _ring[number % RING_SIZE] = _word(treeSize, rootHash);
        emit Anchored(treeSize, rootHash, number);
    }

    function _word(uint64 treeSize, bytes32 rootHash) internal pure returns (uint256) {
        uint256 commitment = uint256(keccak256(abi.encode(treeSize, rootHash)));
        return (uint256(treeSize) << COMMITMENT_BITS) | (commitment >> (256 - COMMITMENT_BITS));
    }
}
