// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title Verification of RFC 9162 Merkle proofs over SHA-256
/// @notice Section 2.1.3.2 (inclusion) and 2.1.4.2 (consistency). Variable names and steps are the
/// RFC's; its one loop is written as two, below the right border of the tree and on it.
/// @dev Every malformed proof answers false; nothing here reverts. A leaf hash and a node hash
/// differ by their prefix byte, so no node proves as a leaf as long as callers pass leaf hashes.
/// Unchecked, because nothing can overflow: indices count calldata, fn and sn only shrink.
library Rfc9162 {
    /// @notice Whether the log with `secondRoot` extends the one with `firstRoot`.
    /// @param first Tree size of the older root; at least 1.
    /// @param second Tree size of the newer root; larger than `first`.
    function isConsistent(
        uint64 first,
        uint64 second,
        bytes32 firstRoot,
        bytes32 secondRoot,
        bytes32[] calldata proof
    ) internal view returns (bool) {
        if (first == 0 || first >= second || proof.length == 0) return false;
        unchecked {
            // Steps 1 and 2: a complete old tree is itself the first node of the path.
            uint256 i = first & (first - 1) == 0 ? 0 : 1;
            bytes32 fr = i == 0 ? firstRoot : proof[0];
            bytes32 sr = fr;

            // Steps 3 and 4.
            uint256 fn = first - 1;
            uint256 sn = second - 1;
            while (fn & 1 == 1) (fn, sn) = (fn >> 1, sn >> 1);

            // Steps 5 and 6 below the right border, where fn differs from sn.
            uint256 buffer = _buffer();
            for (; fn != sn; ++i) {
                if (i == proof.length) return false;
                bytes32 c = _at(proof, i);
                if (fn & 1 == 1) {
                    fr = _nodeHash(buffer, c, fr);
                    sr = _nodeHash(buffer, c, sr);
                } else {
                    sr = _nodeHash(buffer, sr, c);
                }
                (fn, sn) = (fn >> 1, sn >> 1);
            }

            // Steps 5 and 6 on the right border, where they are equal: a node at every odd level.
            for (; sn != 0; sn >>= 1) {
                if (sn & 1 == 0) continue;
                if (i == proof.length) return false;
                bytes32 c = _at(proof, i);
                fr = _nodeHash(buffer, c, fr);
                sr = _nodeHash(buffer, c, sr);
                ++i;
            }

            // Step 7.
            return i == proof.length && fr == firstRoot && sr == secondRoot;
        }
    }

    /// @notice Whether `leafHash` is the leaf at `index` of the tree of `size` leaves with `root`.
    function isIncluded(
        uint64 index,
        uint64 size,
        bytes32 leafHash,
        bytes32 root,
        bytes32[] calldata proof
    ) internal view returns (bool) {
        // Steps 1 to 3.
        if (index >= size) return false;
        unchecked {
            uint256 fn = index;
            uint256 sn = size - 1;
            bytes32 r = leafHash;

            // Step 4 below the right border, where fn differs from sn: a sibling at every level.
            uint256 buffer = _buffer();
            uint256 i = 0;
            for (; fn != sn; ++i) {
                if (i == proof.length) return false;
                bytes32 p = _at(proof, i);
                r = fn & 1 == 1 ? _nodeHash(buffer, p, r) : _nodeHash(buffer, r, p);
                (fn, sn) = (fn >> 1, sn >> 1);
            }

            // Step 4 on the right border, where they are equal: a sibling at every odd level.
            for (; sn != 0; sn >>= 1) {
                if (sn & 1 == 0) continue;
                if (i == proof.length) return false;
                r = _nodeHash(buffer, _at(proof, i), r);
                ++i;
            }

            // Step 5.
            return i == proof.length && r == root;
        }
    }

    /// @notice SHA-256(0x01 || left || right).
    function nodeHash(bytes32 left, bytes32 right) internal view returns (bytes32) {
        return _nodeHash(_buffer(), left, right);
    }

    /// @dev Free memory with the prefix of a node in its first byte. The free memory pointer stays
    /// where it is: what is written is read at once.
    function _buffer() private pure returns (uint256 buffer) {
        // slither-disable-next-line assembly
        assembly ("memory-safe") {
            buffer := mload(0x40)
            mstore8(buffer, 0x01)
        }
    }

    /// @dev If the precompile fails (out of gas) the transaction fails.
    function _nodeHash(uint256 buffer, bytes32 left, bytes32 right)
        private
        view
        returns (bytes32 hash)
    {
        // A call of the precompile without copying, which Solidity's sha256(bytes) does.
        // slither-disable-next-line assembly
        assembly ("memory-safe") {
            mstore(add(buffer, 0x01), left)
            mstore(add(buffer, 0x21), right)
            if iszero(staticcall(gas(), 0x02, buffer, 0x41, 0x00, 0x20)) { revert(0, 0) }
            hash := mload(0x00)
        }
    }

    /// @dev `proof[i]` for an `i` below its length, which the caller has just compared.
    function _at(bytes32[] calldata proof, uint256 i) private pure returns (bytes32 node) {
        // slither-disable-next-line assembly
        assembly ("memory-safe") {
            node := calldataload(add(proof.offset, shl(5, i)))
        }
    }
}
