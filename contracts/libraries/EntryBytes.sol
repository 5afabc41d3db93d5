// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title Reading the log's entries
/// @notice Layouts of docs/spec/record.md and docs/spec/envelope.md.
library EntryBytes {
    uint256 internal constant RECORD_SIZE = 112;
    uint256 internal constant ENVELOPE_SIZE = 109;
    bytes1 internal constant RECORD_KIND = 0x01;
    bytes1 internal constant ENVELOPE_KIND = 0x02;
    bytes1 internal constant ACCEPTED = 0x01;

    /// @return RFC 9162 leaf hash: SHA-256(0x00 || entry).
    function leafHash(bytes calldata entry) internal pure returns (bytes32) {
        return sha256(bytes.concat(bytes1(0x00), entry));
    }

    /// @return Whether `entry` is the envelope of this batch.
    function isEnvelopeOf(bytes calldata entry, uint32 member, uint64 sequence, uint32 count)
        internal
        pure
        returns (bool)
    {
        return entry.length == ENVELOPE_SIZE && entry[0] == ENVELOPE_KIND
            && uint32(bytes4(entry[2:6])) == member && uint64(bytes8(entry[6:14])) == sequence
            && uint32(bytes4(entry[14:18])) == count;
    }

    /// @return Whether `entry` is `record` (verdict 0) with a verdict.
    function isRecordOf(bytes calldata entry, bytes calldata record) internal pure returns (bool) {
        if (entry.length != RECORD_SIZE || record.length != RECORD_SIZE) return false;
        bool isSameFront = bytes3(entry[:3]) == bytes3(record[:3]);
        return isSameFront && keccak256(entry[4:]) == keccak256(record[4:]);
    }

    /// @return Whether `entry` is a record with the verdict `accepted`.
    function isAccepted(bytes calldata entry) internal pure returns (bool) {
        return entry.length == RECORD_SIZE && entry[0] == RECORD_KIND && entry[3] == ACCEPTED;
    }

    /// @return What names the event that `record` is: type, publisher and event id, hashed.
    function eventKey(bytes calldata record) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(uint8(record[1]), uint32(bytes4(record[8:12])), bytes16(record[20:36]))
        );
    }
}
