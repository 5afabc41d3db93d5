// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Checkpoint, Counts, Receipt, Statement} from "adtally/types/DataTypes.sol";
import {BondWorld} from "../support/BondWorld.sol";

/// @notice What is signed, spelled out once more after EIP-712, with values that fill their types.
contract DigestsTest is BondWorld {
    bytes32 internal constant DOMAIN_TYPEHASH = keccak256(
        "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
    );

    function test_Digest_OfACheckpoint() public view {
        Checkpoint memory checkpoint = Checkpoint(type(uint64).max - 1, keccak256("root"));
        bytes32 structHash = keccak256(
            abi.encode(
                keccak256("Checkpoint(uint64 treeSize,bytes32 rootHash)"),
                checkpoint.treeSize,
                checkpoint.rootHash
            )
        );
        assertEq(eventLog.checkpointDigest(checkpoint), _typed(_log(), structHash), "digest");
        assertEq(eventLog.DOMAIN_SEPARATOR(), _log(), "domain");
    }

    function test_Digest_OfAnAttestorSetsSuccessor() public view {
        uint32 set = type(uint32).max - 1;
        bytes32 structHash = keccak256(
            abi.encode(
                keccak256(
                    "AttestorSetSuccessor(uint32 set,uint32 version,uint8 threshold,"
                    "bytes32 attestorsHash)"
                ),
                set,
                set - 1,
                uint8(200),
                keccak256(abi.encode(attestors))
            )
        );
        assertEq(
            eventLog.successorDigest(set, set - 1, attestors, 200),
            _typed(_log(), structHash),
            "digest"
        );
    }

    function test_Digest_OfAStatement() public view {
        uint64 big = type(uint64).max;
        uint32 id = type(uint32).max;
        Statement memory s = Statement({
            campaign: id,
            sequence: id - 1,
            treeSize: big - 1,
            linesTotal: type(uint128).max - 2,
            counts: Counts(big - 3, big - 4, big - 5, big - 6),
            corrections: big - 7,
            linesRoot: keccak256("lines"),
            isFinal: true
        });
        bytes memory first = abi.encode(
            keccak256(
                "Statement(uint32 campaign,uint32 sequence,uint64 treeSize,uint128 linesTotal,"
                "uint64 impressions,uint64 viewables,uint64 clicks,uint64 conversions,"
                "uint64 corrections,bytes32 linesRoot,bool isFinal)"
            ),
            s.campaign,
            s.sequence,
            s.treeSize,
            s.linesTotal
        );
        Counts memory c = s.counts;
        bytes memory counts = abi.encode(c.impressions, c.viewables, c.clicks, c.conversions);
        bytes memory last = abi.encode(s.corrections, s.linesRoot, s.isFinal);
        bytes32 structHash = keccak256(bytes.concat(first, counts, last));
        assertEq(escrow.statementDigest(s), _typed(_escrow(), structHash), "digest");
        assertEq(escrow.DOMAIN_SEPARATOR(), _escrow(), "domain");
    }

    function test_Digest_OfALine() public view {
        uint64 big = type(uint64).max;
        uint32 id = type(uint32).max;
        Counts memory counts = Counts(big, big - 1, big - 2, big - 3);
        bytes32 inner = keccak256(abi.encode(_escrow(), id, id - 1, big, big - 1, big - 2, big - 3));
        assertEq(escrow.lineLeaf(id, id - 1, counts), keccak256(abi.encode(inner)), "hashed twice");
    }

    function test_Digest_OfAReceipt() public view {
        uint64 big = type(uint64).max;
        Receipt memory r = Receipt({
            member: type(uint32).max,
            sequence: big,
            recordsRoot: keccak256("records"),
            firstIndex: big - 1,
            count: type(uint32).max - 1,
            treeSize: big - 2,
            rootHash: keccak256("root"),
            anchorDeadline: big - 3
        });
        bytes memory words = abi.encode(
            keccak256(
                "Receipt(uint32 member,uint64 sequence,bytes32 recordsRoot,uint64 firstIndex,"
                "uint32 count,uint64 treeSize,bytes32 rootHash,uint64 anchorDeadline)"
            ),
            r.member,
            r.sequence,
            r.recordsRoot,
            r.firstIndex,
            r.count,
            r.treeSize,
            r.rootHash,
            r.anchorDeadline
        );
        assertEq(bond.receiptDigest(r), _typed(_log(), keccak256(words)), "digest");
    }

    function _log() internal view returns (bytes32) {
        return _domain("adtally EventLog", address(eventLog));
    }

    function _escrow() internal view returns (bytes32) {
        return _domain("adtally CampaignEscrow", address(escrow));
    }

    function _domain(string memory name, address verifier) internal view returns (bytes32) {
        bytes32 nameHash = keccak256(bytes(name));
        return
            keccak256(
                abi.encode(DOMAIN_TYPEHASH, nameHash, keccak256("1"), block.chainid, verifier)
            );
    }

    function _typed(bytes32 domain, bytes32 structHash) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(hex"1901", domain, structHash));
    }
}
