// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

import {IAttestorSets} from "adtally/interfaces/IAttestorSets.sol";
import {Quorum} from "adtally/types/DataTypes.sol";
import {World} from "../support/World.sol";

/// @notice Who may sign, who names the next ones, and which signatures count.
contract AttestorSetsTest is World {
    address internal constant NEW = address(0xBEEF);
    bytes32 internal constant DIGEST = keccak256("digest");

    function test_CreateAttestorSet_StoresItsHash() public {
        address[] memory list = _newAttestors("other", 3);
        vm.prank(NEW);
        uint32 set = eventLog.createAttestorSet(list, 2);
        (uint32 version, bytes32 setHash) = eventLog.attestorSet(set);
        assertEq(set, attestorSet + 1, "id");
        assertEq(version, 1, "version");
        assertEq(setHash, keccak256(abi.encode(uint8(2), list)), "hash");
        assertEq(eventLog.attestorSetCount(), 2, "count");
    }

    function test_RevertWhen_ThresholdIsNoMajority() public {
        address[] memory list = _newAttestors("other", 4);
        uint8[4] memory wrong = [0, 1, 2, 5];
        for (uint256 i = 0; i < wrong.length; ++i) {
            vm.expectRevert(
                abi.encodeWithSelector(IAttestorSets.ThresholdInvalid.selector, wrong[i], 4)
            );
            eventLog.createAttestorSet(list, wrong[i]);
        }
        eventLog.createAttestorSet(list, 3);
        eventLog.createAttestorSet(list, 4);
        vm.expectRevert(abi.encodeWithSelector(IAttestorSets.ThresholdInvalid.selector, 0, 0));
        eventLog.createAttestorSet(new address[](0), 0);
    }

    function test_RevertWhen_AttestorsNotSortedOrTooMany() public {
        address[] memory list = _newAttestors("other", 3);
        (list[1], list[2]) = (list[2], list[1]);
        vm.expectRevert(abi.encodeWithSelector(IAttestorSets.AttestorsNotSorted.selector, 2));
        eventLog.createAttestorSet(list, 2);
        list[1] = list[2];
        vm.expectRevert(abi.encodeWithSelector(IAttestorSets.AttestorsNotSorted.selector, 2));
        eventLog.createAttestorSet(list, 2);
        list[0] = address(0);
        vm.expectRevert(abi.encodeWithSelector(IAttestorSets.AttestorsNotSorted.selector, 0));
        eventLog.createAttestorSet(list, 2);
        eventLog.createAttestorSet(_newAttestors("many", 32), 17);
        address[] memory many = _newAttestors("many", 33);
        vm.expectRevert(abi.encodeWithSelector(IAttestorSets.AttestorsTooMany.selector, 33, 32));
        eventLog.createAttestorSet(many, 17);
    }

    function test_NameSuccessor_ByQuorumOfCurrentVersion() public {
        address[] memory next = _newAttestors("next", 3);
        bytes32 digest = eventLog.successorDigest(attestorSet, 2, next, 2);
        Quorum memory quorum = _quorum(digest, 3);
        vm.prank(NEW);
        eventLog.nameSuccessor(attestorSet, next, 2, quorum);
        (uint32 version, bytes32 setHash) = eventLog.attestorSet(attestorSet);
        assertEq(version, 2, "version");
        assertEq(setHash, keccak256(abi.encode(uint8(2), next)), "hash");

        // A removed attestor's signature is worth nothing, and so is a replay.
        vm.expectRevert(
            abi.encodeWithSelector(
                IAttestorSets.AttestorSetMismatch.selector,
                attestorSet,
                setHash,
                keccak256(abi.encode(THRESHOLD, attestors))
            )
        );
        eventLog.nameSuccessor(attestorSet, next, 2, quorum);
    }

    function test_RevertWhen_RegistrarNamesSuccessor() public {
        address[] memory next = _newAttestors("next", 3);
        Quorum memory quorum = Quorum(THRESHOLD, attestors, "");
        vm.expectRevert(abi.encodeWithSelector(IAttestorSets.SignaturesTooFew.selector, 0, 3));
        eventLog.nameSuccessor(attestorSet, next, 2, quorum);
        vm.expectRevert(abi.encodeWithSelector(IAttestorSets.AttestorSetUnknown.selector, 9));
        eventLog.nameSuccessor(9, next, 2, quorum);
        vm.expectRevert(abi.encodeWithSelector(IAttestorSets.ThresholdInvalid.selector, 1, 3));
        eventLog.nameSuccessor(attestorSet, next, 1, quorum);
    }

    // ---------------------------------------------------------------- quorum

    function test_RequireQuorum_AnyMajorityInOrder() public view {
        eventLog.requireQuorum(attestorSet, DIGEST, _quorum(DIGEST, 3));
        eventLog.requireQuorum(attestorSet, DIGEST, _quorum(DIGEST, 5));
        eventLog.requireQuorum(attestorSet, DIGEST, _signedBy(0, 2, 4));
        eventLog.requireQuorum(attestorSet, DIGEST, _signedBy(2, 3, 4));
    }

    function test_RevertWhen_QuorumTooSmallOrMalformed() public {
        Quorum memory quorum = _quorum(DIGEST, 2);
        _rejects(quorum, abi.encodeWithSelector(IAttestorSets.SignaturesTooFew.selector, 2, 3));
        quorum.signatures = abi.encodePacked(_quorum(DIGEST, 3).signatures, uint8(0));
        _rejects(quorum, abi.encodeWithSelector(IAttestorSets.SignaturesMalformed.selector, 196));
    }

    function test_RevertWhen_SignersUnsortedRepeatedOrForeign() public {
        _rejects(_signedBy(1, 0, 2), _notInSet(attestors[0]));
        _rejects(_signedBy(0, 0, 1), _notInSet(attestors[0]));
        _rejects(_signedBy(0, 4, 4), _notInSet(attestors[4]));
        address[] memory others = _newAttestors("other", 1);
        Quorum memory quorum = _quorum(DIGEST, 3);
        quorum.signatures = abi.encodePacked(quorum.signatures, _sign(DIGEST, others[0]));
        _rejects(quorum, _notInSet(others[0]));
    }

    function test_RevertWhen_SignatureOverOtherDigest() public {
        Quorum memory quorum = _quorum(keccak256("other"), 3);
        vm.expectRevert();
        eventLog.requireQuorum(attestorSet, DIGEST, quorum);
    }

    function test_RevertWhen_SignatureHighSOrZero() public {
        Quorum memory quorum = _quorum(DIGEST, 2);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(keyOf[attestors[2]], DIGEST);
        bytes32 high = bytes32(
            0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141 - uint256(s)
        );
        bytes memory two = quorum.signatures;
        quorum.signatures = abi.encodePacked(two, r, high, v == 27 ? uint8(28) : uint8(27));
        _rejects(quorum, abi.encodeWithSelector(ECDSA.ECDSAInvalidSignatureS.selector, high));
        quorum.signatures = abi.encodePacked(two, new bytes(65));
        _rejects(quorum, abi.encodeWithSelector(ECDSA.ECDSAInvalidSignature.selector));
        quorum.signatures = abi.encodePacked(two, r, s, v - 27);
        _rejects(quorum, abi.encodeWithSelector(ECDSA.ECDSAInvalidSignature.selector));
    }

    function test_RevertWhen_SetOrThresholdIsNotTheStoredOne() public {
        Quorum memory quorum = _quorum(DIGEST, 3);
        quorum.threshold = 1;
        vm.expectRevert(
            abi.encodeWithSelector(
                IAttestorSets.AttestorSetMismatch.selector,
                attestorSet,
                keccak256(abi.encode(THRESHOLD, attestors)),
                keccak256(abi.encode(uint8(1), attestors))
            )
        );
        eventLog.requireQuorum(attestorSet, DIGEST, quorum);
        vm.expectRevert(abi.encodeWithSelector(IAttestorSets.AttestorSetUnknown.selector, 0));
        eventLog.requireQuorum(0, DIGEST, quorum);
    }

    function _signedBy(uint256 i, uint256 j, uint256 k) internal view returns (Quorum memory) {
        return Quorum(
            THRESHOLD,
            attestors,
            abi.encodePacked(
                _sign(DIGEST, attestors[i]),
                _sign(DIGEST, attestors[j]),
                _sign(DIGEST, attestors[k])
            )
        );
    }

    function _notInSet(address signer) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IAttestorSets.SignerNotInSet.selector, signer);
    }

    function _rejects(Quorum memory quorum, bytes memory reason) internal {
        vm.expectRevert(reason);
        eventLog.requireQuorum(attestorSet, DIGEST, quorum);
    }
}
