// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Checkpoint, Quorum} from "adtally/types/DataTypes.sol";
import {IAttestorSets} from "adtally/interfaces/IAttestorSets.sol";
import {IMembership} from "adtally/interfaces/IMembership.sol";

/// @title Anchors of one append-only log
/// @notice The contract itself checks the RFC 9162 consistency proof: an anchor that is no
/// extension of the one before reverts, whoever signed it. Anyone may submit an attested anchor.
interface IEventLog is IAttestorSets {
    event Anchored(uint64 indexed treeSize, bytes32 rootHash, uint64 anchorNumber);

    error PreviousNotHead(uint64 treeSize, bytes32 rootHash);
    error TreeNotGrown(uint64 headSize, uint64 treeSize);
    error TreeNotAnchored(uint64 treeSize, uint64 headSize);
    error NotAnExtension(uint64 previousSize, uint64 treeSize);
    error NotAnchored(uint64 treeSize, bytes32 rootHash);
    error InclusionProofInvalid(uint64 index, uint64 treeSize);
    error TreeTooLarge(uint64 treeSize, uint64 maximum);
    error AnchorsExhausted(uint64 maximum);

    /// @notice Store an anchor.
    /// @param previous The current head, exactly; size 0 and zero root before the first anchor,
    /// for which the proof must be empty.
    /// @param next A larger checkpoint that extends it.
    /// @param proof RFC 9162 consistency proof from `previous` to `next`.
    /// @param quorum EIP-712 Checkpoint signatures of the log's attestor set.
    function anchor(
        Checkpoint calldata previous,
        Checkpoint calldata next,
        bytes32[] calldata proof,
        Quorum calldata quorum
    ) external;

    /// @notice Revert unless the log's first `treeSize` entries are anchored and a quorum of `set`
    /// signed `digest`: all that a statement needs.
    /// @dev Anchors only grow by proven extensions, so every size up to the head is as good as
    /// anchored. Size 0 covers nothing.
    function requireAttested(uint32 set, uint64 treeSize, bytes32 digest, Quorum calldata quorum)
        external
        view;

    /// @notice Revert unless `leafHash` is the leaf at `index` of the anchored checkpoint
    /// `anchored`.
    /// @dev `anchored` must be the head or one of the RING_SIZE anchors before it.
    function verifyInclusion(
        Checkpoint calldata anchored,
        uint64 index,
        bytes32 leafHash,
        bytes32[] calldata proof
    ) external view;

    /// @return Size of the newest anchor.
    function headSize() external view returns (uint64);

    /// @return How many anchors there have been.
    function anchorCount() external view returns (uint64);

    /// @return Whether this checkpoint is the head or one of the RING_SIZE anchors before it.
    function isAnchored(Checkpoint calldata anchored) external view returns (bool);

    /// @return The EIP-712 digest that attestors sign for `checkpoint`.
    function checkpointDigest(Checkpoint calldata checkpoint) external view returns (bytes32);

    function MEMBERSHIP() external view returns (IMembership);

    /// @return Member whose event key signs receipts for this log.
    function OPERATOR() external view returns (uint32);

    /// @return Set that attests this log's checkpoints.
    function ATTESTOR_SET() external view returns (uint32);

    /// @return Entries that were taken over from an older log; 0 for a new one. Whoever ran that
    /// one answers for them.
    function TAKEN_SIZE() external view returns (uint64);

    /// @return Anchors kept for proofs besides the head.
    function RING_SIZE() external view returns (uint256);

    /// @return Largest tree size that can be anchored.
    function MAX_TREE_SIZE() external view returns (uint64);

    /// @return Most anchors that this contract takes; a longer log goes on in a new contract.
    function MAX_ANCHORS() external view returns (uint64);

    /// @return The EIP-712 domain separator.
    function DOMAIN_SEPARATOR() external view returns (bytes32);
}
