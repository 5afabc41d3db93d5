// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Quorum} from "adtally/types/DataTypes.sol";

/// @title Sets of attestors, k of n
/// @notice A set binds only those who choose it: the log at its deployment, a campaign in its
/// terms. Only k of a set can name its successor; nobody else, no registrar and no owner, can
/// change who signs.
interface IAttestorSets {
    event AttestorSetNamed(
        uint32 indexed set, uint32 indexed version, uint8 threshold, address[] attestors
    );

    error AttestorSetUnknown(uint32 set);
    error AttestorSetMismatch(uint32 set, bytes32 expected, bytes32 found);
    error AttestorsNotSorted(uint256 index);
    error AttestorsTooMany(uint256 found, uint256 maximum);
    error ThresholdInvalid(uint256 threshold, uint256 attestors);
    error SignaturesTooFew(uint256 found, uint256 threshold);
    error SignaturesMalformed(uint256 length);
    error SignerNotInSet(address signer);

    /// @notice Create an attestor set. Anyone may: a set binds only those who choose it.
    /// @param attestors Sorted ascending, no duplicates, no zero; at most 32.
    /// @param threshold More than half of the set.
    function createAttestorSet(address[] calldata attestors, uint8 threshold)
        external
        returns (uint32 set);

    /// @notice Name a set's successor, signed by a quorum of its current version (EIP-712
    /// AttestorSetSuccessor with the new version, threshold and keccak256(abi.encode(attestors))).
    /// @dev Running campaigns follow the set: what it signs from then on needs the new version.
    function nameSuccessor(
        uint32 set,
        address[] calldata attestors,
        uint8 threshold,
        Quorum calldata quorum
    ) external;

    /// @notice Revert unless `quorum` is the current version of `set` and enough of it signed
    /// `digest`.
    function requireQuorum(uint32 set, bytes32 digest, Quorum calldata quorum) external view;

    /// @return The EIP-712 digest that a quorum of version `version - 1` signs to name version
    /// `version` of `set`.
    function successorDigest(
        uint32 set,
        uint32 version,
        address[] calldata attestors,
        uint8 threshold
    ) external view returns (bytes32);

    /// @return version Current version (from 1), 0 if unknown.
    /// @return setHash keccak256(abi.encode(threshold, attestors)).
    function attestorSet(uint32 set) external view returns (uint32 version, bytes32 setHash);

    /// @return Number of attestor sets; ids run from 1 to it.
    function attestorSetCount() external view returns (uint32);
}
