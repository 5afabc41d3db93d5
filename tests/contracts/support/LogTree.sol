// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title RFC 9162 tree over given leaf hashes, by the recursive definitions of section 2.1
/// @dev Written from the definitions, not from the verification algorithm that it tests.
library LogTree {
    function root(bytes32[] memory leaves, uint256 size) internal pure returns (bytes32) {
        return size == 0 ? sha256("") : _root(leaves, 0, size);
    }

    /// @notice PATH(index, D[0:size]), section 2.1.3.1.
    function inclusionProof(bytes32[] memory leaves, uint256 index, uint256 size)
        internal
        pure
        returns (bytes32[] memory)
    {
        return _path(leaves, index, 0, size, new bytes32[](0));
    }

    /// @notice PROOF(first, D[0:second]), section 2.1.4.1.
    function consistencyProof(bytes32[] memory leaves, uint256 first, uint256 second)
        internal
        pure
        returns (bytes32[] memory)
    {
        return _subproof(leaves, first, 0, second, true);
    }

    /// @notice Leaf hash `index` of the tests' logs.
    function leaf(uint256 seed, uint256 index) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(bytes1(0), seed, index));
    }

    function _root(bytes32[] memory leaves, uint256 low, uint256 high)
        private
        pure
        returns (bytes32)
    {
        if (high - low == 1) return leaves[low];
        uint256 k = low + _split(high - low);
        return sha256(abi.encodePacked(bytes1(0x01), _root(leaves, low, k), _root(leaves, k, high)));
    }

    function _path(
        bytes32[] memory leaves,
        uint256 index,
        uint256 low,
        uint256 high,
        bytes32[] memory above
    ) private pure returns (bytes32[] memory) {
        if (high - low == 1) return above;
        uint256 k = low + _split(high - low);
        bool isLeft = index < k;
        bytes32 sibling = isLeft ? _root(leaves, k, high) : _root(leaves, low, k);
        bytes32[] memory path = _prepend(sibling, above);
        return isLeft ? _path(leaves, index, low, k, path) : _path(leaves, index, k, high, path);
    }

    function _subproof(
        bytes32[] memory leaves,
        uint256 first,
        uint256 low,
        uint256 high,
        bool isWhole
    ) private pure returns (bytes32[] memory) {
        if (first == high - low) {
            return isWhole ? new bytes32[](0) : _append(new bytes32[](0), _root(leaves, low, high));
        }
        uint256 k = _split(high - low);
        return first <= k
            ? _append(_subproof(leaves, first, low, low + k, isWhole), _root(leaves, low + k, high))
            : _append(
                _subproof(leaves, first - k, low + k, high, false), _root(leaves, low, low + k)
            );
    }

    /// @dev Largest power of two below `size`.
    function _split(uint256 size) private pure returns (uint256 k) {
        k = 1;
        while (k * 2 < size) {
            k *= 2;
        }
    }

    function _append(bytes32[] memory list, bytes32 item)
        private
        pure
        returns (bytes32[] memory longer)
    {
        longer = new bytes32[](list.length + 1);
        for (uint256 i = 0; i < list.length; ++i) {
            longer[i] = list[i];
        }
        longer[list.length] = item;
    }

    function _prepend(bytes32 item, bytes32[] memory list)
        private
        pure
        returns (bytes32[] memory longer)
    {
        longer = new bytes32[](list.length + 1);
        longer[0] = item;
        for (uint256 i = 0; i < list.length; ++i) {
            longer[i + 1] = list[i];
        }
    }
}
