// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Statement} from "adtally/types/DataTypes.sol";

/// @title EIP-712 struct hash of a statement
library StatementHash {
    bytes32 internal constant TYPEHASH = keccak256(
        "Statement(uint32 campaign,uint32 sequence,uint64 treeSize,uint128 linesTotal,"
        "uint64 impressions,uint64 viewables,uint64 clicks,uint64 conversions,uint64 corrections,"
        "bytes32 linesRoot,bool isFinal)"
    );

    /// @dev The signed type is flat. So is the ABI encoding of the struct, whose members are all
    /// static: eleven words in the order of the type. Only the type hash is put before them.
    function structHash(Statement calldata statement) internal pure returns (bytes32) {
        return keccak256(bytes.concat(TYPEHASH, abi.encode(statement)));
    }
}
