// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

import {IAttestorSets} from "adtally/interfaces/IAttestorSets.sol";
import {Quorum} from "adtally/types/DataTypes.sol";

/// @title Attestor sets as one hash, and k-of-n signatures of them
/// @dev The list travels in calldata and is compared with the stored hash, so a set costs one slot
/// whatever its size.
library Quorums {
    /// @notice Largest attestor set; keeps a quorum's cost bounded.
    uint256 internal constant MAX_ATTESTORS = 32;

    /// @notice r, s (32 bytes each) and v (27 or 28).
    uint256 internal constant SIGNATURE_BYTES = 65;

    /// @notice Revert unless `attestors` may be a set with this threshold.
    function requireValid(address[] memory attestors, uint8 threshold) internal pure {
        uint256 count = attestors.length;
        if (count > MAX_ATTESTORS) revert IAttestorSets.AttestorsTooMany(count, MAX_ATTESTORS);
        if (uint256(threshold) * 2 <= count || threshold > count) {
            revert IAttestorSets.ThresholdInvalid(threshold, count);
        }
        address last = address(0);
        for (uint256 i = 0; i < count; ++i) {
            if (attestors[i] <= last) revert IAttestorSets.AttestorsNotSorted(i);
            last = attestors[i];
        }
    }

    /// @return What is stored of a set.
    function setHash(uint8 threshold, address[] memory attestors) internal pure returns (bytes32) {
        return keccak256(abi.encode(threshold, attestors));
    }

    /// @return hash `setHash` of the set that `quorum` says it is of, straight from calldata.
    /// @dev Copies the words as they are: an address with dirty upper bytes hashes to no set.
    function setHashOf(Quorum calldata quorum) internal pure returns (bytes32 hash) {
        uint8 threshold = quorum.threshold;
        address[] calldata attestors = quorum.attestors;
        // One copy of the words instead of a loop that decodes and encodes each.
        // slither-disable-next-line assembly
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            let size := shl(5, attestors.length)
            mstore(buffer, threshold)
            mstore(add(buffer, 0x20), 0x40)
            mstore(add(buffer, 0x40), attestors.length)
            calldatacopy(add(buffer, 0x60), attestors.offset, size)
            hash := keccak256(buffer, add(size, 0x60))
        }
    }

    /// @notice Revert unless at least `threshold` different attestors signed `digest`, all of the
    /// signatures are valid, and signers ascend.
    /// @dev Both lists are sorted: each signer is looked for behind the one before, so a repeated,
    /// unsorted or foreign signer is never found. ECDSA.recover refuses high s, wrong v and the
    /// zero address. The caller has compared the set with its hash.
    function requireSigned(bytes32 digest, Quorum calldata quorum) internal pure {
        bytes calldata signatures = quorum.signatures;
        // The product is compared with the length: nothing is lost by the division.
        // slither-disable-next-line divide-before-multiply
        uint256 count = signatures.length / SIGNATURE_BYTES;
        if (count * SIGNATURE_BYTES != signatures.length) {
            revert IAttestorSets.SignaturesMalformed(signatures.length);
        }
        if (count < quorum.threshold) {
            revert IAttestorSets.SignaturesTooFew(count, quorum.threshold);
        }
        address[] calldata attestors = quorum.attestors;
        uint256 next = 0;
        // Unchecked, because both run up to a length.
        unchecked {
            for (uint256 i = 0; i < count; ++i) {
                (bytes32 r, bytes32 s, uint8 v) = _signatureAt(signatures, i);
                address signer = ECDSA.recover(digest, v, r, s);
                while (next < attestors.length && attestors[next] != signer) ++next;
                if (next == attestors.length) revert IAttestorSets.SignerNotInSet(signer);
                ++next;
            }
        }
    }

    /// @dev The caller has checked that there are more than `index` whole signatures.
    function _signatureAt(bytes calldata signatures, uint256 index)
        private
        pure
        returns (bytes32 r, bytes32 s, uint8 v)
    {
        // Calldata words at no multiple of 32.
        // slither-disable-next-line assembly
        assembly ("memory-safe") {
            let start := add(signatures.offset, mul(index, SIGNATURE_BYTES))
            r := calldataload(start)
            s := calldataload(add(start, 0x20))
            v := byte(0, calldataload(add(start, 0x40)))
        }
    }
}
