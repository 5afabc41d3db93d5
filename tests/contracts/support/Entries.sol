// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title Entries of the log as bytes, written from docs/spec/record.md and docs/spec/envelope.md
/// @dev Not from the library that reads them.
library Entries {
    uint8 internal constant ACCEPTED = 1;
    uint8 internal constant DUPLICATE = 2;

    uint8 internal constant IMPRESSION = 1;
    uint8 internal constant CLICK = 3;

    /// @return An impression's record; everything that no test looks at is filled with `seed`.
    function record(uint8 verdict, uint32 publisher, bytes16 id, uint256 seed)
        internal
        pure
        returns (bytes memory)
    {
        return recordOf(IMPRESSION, verdict, publisher, id, seed);
    }

    /// @return A record of 112 bytes.
    function recordOf(uint8 kind, uint8 verdict, uint32 publisher, bytes16 id, uint256 seed)
        internal
        pure
        returns (bytes memory)
    {
        bytes32 filler = keccak256(abi.encode(seed));
        bytes memory front =
            abi.encodePacked(uint8(1), kind, uint8(0), verdict, uint32(1), publisher);
        bytes memory middle = abi.encodePacked(uint32(seed), uint32(5), id, bytes16(0));
        bytes memory back = abi.encodePacked(bytes12(filler), filler, bytes16(filler));
        return abi.encodePacked(front, middle, back);
    }

    /// @return An envelope of 109 bytes.
    function envelope(uint32 member, uint64 sequence, uint32 count)
        internal
        pure
        returns (bytes memory)
    {
        return abi.encodePacked(
            uint8(2),
            uint8(0),
            member,
            sequence,
            count,
            uint48(1_700_000_000_000),
            bytes20(keccak256("signer")),
            new bytes(65)
        );
    }

    /// @return RFC 9162 leaf hash.
    function leaf(bytes memory entry) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(bytes1(0), entry));
    }
}
