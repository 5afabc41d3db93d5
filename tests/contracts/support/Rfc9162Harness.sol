// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Rfc9162} from "adtally/libraries/Rfc9162.sol";

/// @notice The library's functions for callers from outside.
contract Rfc9162Harness {
    function isConsistent(
        uint64 first,
        uint64 second,
        bytes32 firstRoot,
        bytes32 secondRoot,
        bytes32[] calldata proof
    ) external view returns (bool) {
        return Rfc9162.isConsistent(first, second, firstRoot, secondRoot, proof);
    }

    function isIncluded(
        uint64 index,
        uint64 size,
        bytes32 leafHash,
        bytes32 root,
        bytes32[] calldata proof
    ) external view returns (bool) {
        return Rfc9162.isIncluded(index, size, leafHash, root, proof);
    }
}
