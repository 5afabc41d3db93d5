// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

import {IAttestorSets} from "adtally/interfaces/IAttestorSets.sol";
import {Quorums} from "adtally/libraries/Quorums.sol";
import {Quorum} from "adtally/types/DataTypes.sol";

/// @title Sets of attestors, k of n
/// @dev Part of EventLog: who anchors and who settles asks the same contract for the log and for
/// the quorum, and a successor is in force everywhere in the same transaction.
abstract contract AttestorSets is IAttestorSets, EIP712 {
    /// @dev The hash comes first and alone: it is all that a quorum check reads.
    struct AttestorSet {
        bytes32 setHash;
        uint32 version;
    }

    bytes32 internal constant SUCCESSOR_TYPEHASH = keccak256(
        "AttestorSetSuccessor(uint32 set,uint32 version,uint8 threshold,bytes32 attestorsHash)"
    );

    /// @inheritdoc IAttestorSets
    uint32 public override attestorSetCount;

    mapping(uint32 set => AttestorSet) internal _attestorSets;

    /// @inheritdoc IAttestorSets
    function createAttestorSet(address[] calldata attestors, uint8 threshold)
        external
        override
        returns (uint32 set)
    {
        set = _createAttestorSet(attestors, threshold);
    }

    /// @inheritdoc IAttestorSets
    function nameSuccessor(
        uint32 set,
        address[] calldata attestors,
        uint8 threshold,
        Quorum calldata quorum
    ) external override {
        // Check
        Quorums.requireValid(attestors, threshold);
        uint32 version = _attestorSets[set].version + 1;
        requireQuorum(set, successorDigest(set, version, attestors, threshold), quorum);

        // Effect
        _attestorSets[set] = AttestorSet(Quorums.setHash(threshold, attestors), version);
        emit AttestorSetNamed(set, version, threshold, attestors);
    }

    /// @inheritdoc IAttestorSets
    function attestorSet(uint32 set)
        external
        view
        override
        returns (uint32 version, bytes32 setHash)
    {
        AttestorSet storage stored = _attestorSets[set];
        return (stored.version, stored.setHash);
    }

    /// @inheritdoc IAttestorSets
    function requireQuorum(uint32 set, bytes32 digest, Quorum calldata quorum)
        public
        view
        override
    {
        bytes32 expected = _attestorSets[set].setHash;
        if (expected == 0) revert AttestorSetUnknown(set);
        bytes32 found = Quorums.setHashOf(quorum);
        if (found != expected) revert AttestorSetMismatch(set, expected, found);
        Quorums.requireSigned(digest, quorum);
    }

    /// @inheritdoc IAttestorSets
    function successorDigest(
        uint32 set,
        uint32 version,
        address[] calldata attestors,
        uint8 threshold
    ) public view override returns (bytes32) {
        bytes32 attestorsHash = keccak256(abi.encode(attestors));
        return _hashTypedDataV4(
            keccak256(abi.encode(SUCCESSOR_TYPEHASH, set, version, threshold, attestorsHash))
        );
    }

    function _createAttestorSet(address[] memory attestors, uint8 threshold)
        internal
        returns (uint32 set)
    {
        // Check
        Quorums.requireValid(attestors, threshold);

        // Effect
        set = ++attestorSetCount;
        _attestorSets[set] = AttestorSet(Quorums.setHash(threshold, attestors), 1);
        emit AttestorSetNamed(set, 1, threshold, attestors);
    }
}
