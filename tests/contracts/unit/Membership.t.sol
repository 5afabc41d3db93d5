// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

import {IMembership} from "adtally/interfaces/IMembership.sol";
import {Quorum} from "adtally/types/DataTypes.sol";
import {World} from "../support/World.sol";

contract MembershipTest is World {
    address internal constant NEW = address(0xBEEF);
    bytes32 internal constant DIGEST = keccak256("digest");

    // ---------------------------------------------------------------- registrar

    function test_Register_StoresEveryField() public view {
        IMembership.Member memory m = membership.member(PUB_A);
        assertEq(m.account, accountOf(PUB_A), "account");
        assertEq(m.roles, PUBLISHER_ROLE, "roles");
        assertEq(m.kycExpires, KYC_EXPIRES, "kycExpires");
        assertEq(m.kycReference, keccak256(abi.encode("kyc", PUB_A)), "kycReference");
        assertEq(m.eventKey, address(uint160(0xE0000000 + PUB_A)), "eventKey");
        assertEq(m.previousEventKey, address(0), "previousEventKey");
        assertEq(m.payout, payoutOf(PUB_A), "payout");
        assertEq(m.pendingPayout, address(0), "pendingPayout");
        assertEq(membership.memberOf(accountOf(PUB_A)), PUB_A, "memberOf");
        assertEq(membership.memberCount(), 6, "memberCount");
    }

    function test_RevertWhen_RegisterByStranger() public {
        vm.prank(NEW);
        vm.expectRevert(
            abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, NEW)
        );
        membership.register(NEW, 1, 0, KYC_EXPIRES, NEW, NEW);
    }

    function test_RevertWhen_RegisterAccountOrPayoutZero() public {
        vm.expectRevert(IMembership.AddressZero.selector);
        membership.register(address(0), 1, 0, KYC_EXPIRES, NEW, NEW);
        vm.expectRevert(IMembership.AddressZero.selector);
        membership.register(NEW, 1, 0, KYC_EXPIRES, NEW, address(0));
    }

    function test_RevertWhen_RegisterAccountTaken() public {
        vm.expectRevert(
            abi.encodeWithSelector(IMembership.AccountTaken.selector, accountOf(PUB_A), PUB_A)
        );
        membership.register(accountOf(PUB_A), 1, 0, KYC_EXPIRES, NEW, NEW);
    }

    function test_RevertWhen_RegisterRolesInvalid() public {
        vm.expectRevert(abi.encodeWithSelector(IMembership.RolesInvalid.selector, 0));
        membership.register(NEW, 0, 0, KYC_EXPIRES, NEW, NEW);
        vm.expectRevert(abi.encodeWithSelector(IMembership.RolesInvalid.selector, 32));
        membership.register(NEW, 32, 0, KYC_EXPIRES, NEW, NEW);
    }

    function test_RevertWhen_RegisterKycExpired() public {
        vm.expectRevert(abi.encodeWithSelector(IMembership.KycExpiryInPast.selector, START, START));
        membership.register(NEW, 1, 0, START, NEW, NEW);
    }

    function test_SetRoles_EndsActivity() public {
        assertTrue(membership.isActive(PUB_A, PUBLISHER_ROLE), "active before");
        membership.setRoles(PUB_A, 0);
        assertTrue(!membership.isActive(PUB_A, PUBLISHER_ROLE), "inactive after");
        assertEq(membership.payoutOf(PUB_A), payoutOf(PUB_A), "payout untouched");
        vm.expectRevert(abi.encodeWithSelector(IMembership.RolesInvalid.selector, 32));
        membership.setRoles(PUB_A, 32);
        vm.expectRevert(abi.encodeWithSelector(IMembership.MemberUnknown.selector, 99));
        membership.setRoles(99, 1);
        vm.prank(NEW);
        vm.expectRevert();
        membership.setRoles(PUB_A, 1);
    }

    function test_RenewKyc_RulesActivity() public {
        vm.warp(KYC_EXPIRES);
        assertTrue(!membership.isActive(PUB_A, PUBLISHER_ROLE), "expired");
        membership.renewKyc(PUB_A, "new", KYC_EXPIRES + 1);
        assertTrue(membership.isActive(PUB_A, PUBLISHER_ROLE), "renewed");
        assertEq(membership.member(PUB_A).kycReference, "new", "reference");
        vm.expectRevert(abi.encodeWithSelector(IMembership.MemberUnknown.selector, 99));
        membership.renewKyc(99, "new", KYC_EXPIRES);
        vm.prank(NEW);
        vm.expectRevert();
        membership.renewKyc(PUB_A, "new", KYC_EXPIRES);
    }

    function test_IsActive_AnyRoleOfMask() public view {
        assertTrue(membership.isActive(PUB_A, PUBLISHER_ROLE | OPERATOR_ROLE), "one of two");
        assertTrue(!membership.isActive(PUB_A, ADVERTISER_ROLE), "other role");
        assertTrue(!membership.isActive(0, 31), "nobody");
    }

    // ---------------------------------------------------------------- the member itself

    function test_ChangeEventKey_KeepsPreviousForOverlap() public {
        address old = membership.member(PUB_A).eventKey;
        vm.prank(accountOf(PUB_A));
        membership.changeEventKey(NEW, 1 hours);
        IMembership.Member memory m = membership.member(PUB_A);
        assertEq(m.eventKey, NEW, "key");
        assertEq(m.previousEventKey, old, "previous");
        assertEq(m.previousEventKeyValidUntil, START + 1 hours, "valid until");
    }

    function test_RevertWhen_ChangeEventKey() public {
        vm.expectRevert(abi.encodeWithSelector(IMembership.AccountUnknown.selector, address(this)));
        membership.changeEventKey(NEW, 0);
        address old = membership.member(PUB_A).eventKey;
        vm.startPrank(accountOf(PUB_A));
        vm.expectRevert(abi.encodeWithSelector(IMembership.EventKeyUnchanged.selector, old));
        membership.changeEventKey(old, 0);
        vm.expectRevert(
            abi.encodeWithSelector(IMembership.OverlapTooLong.selector, 7 days + 1, 7 days)
        );
        membership.changeEventKey(NEW, 7 days + 1);
        membership.changeEventKey(NEW, 7 days);
        vm.stopPrank();
    }

    function test_PayoutChange_TakesEffectAfterDelay() public {
        vm.prank(accountOf(PUB_A));
        membership.requestPayoutChange(NEW);
        vm.warp(START + 2 days - 1);
        assertEq(membership.payoutOf(PUB_A), payoutOf(PUB_A), "not yet");
        assertEq(membership.member(PUB_A).pendingPayout, NEW, "pending");
        assertEq(membership.member(PUB_A).pendingPayoutFrom, START + 2 days, "pending from");
        vm.warp(START + 2 days);
        assertEq(membership.payoutOf(PUB_A), NEW, "due");
        assertEq(membership.member(PUB_A).payout, NEW, "shown");
        assertEq(membership.member(PUB_A).pendingPayout, address(0), "none pending");

        // A further change starts from the one that is due.
        vm.prank(accountOf(PUB_A));
        membership.requestPayoutChange(address(0xCAFE));
        assertEq(membership.payoutOf(PUB_A), NEW, "still the first");
    }

    function test_PayoutChange_CanBeCancelledOnlyBeforeItsEffect() public {
        vm.startPrank(accountOf(PUB_A));
        vm.expectRevert(abi.encodeWithSelector(IMembership.NoPendingPayout.selector, PUB_A));
        membership.cancelPayoutChange();
        membership.requestPayoutChange(NEW);
        membership.cancelPayoutChange();
        vm.warp(START + 10 days);
        assertEq(membership.payoutOf(PUB_A), payoutOf(PUB_A), "cancelled");
        membership.requestPayoutChange(NEW);
        vm.warp(START + 12 days);
        vm.expectRevert(abi.encodeWithSelector(IMembership.NoPendingPayout.selector, PUB_A));
        membership.cancelPayoutChange();
        assertEq(membership.payoutOf(PUB_A), NEW, "due");
        vm.expectRevert(IMembership.AddressZero.selector);
        membership.requestPayoutChange(address(0));
        vm.stopPrank();
    }

    function test_RevertWhen_StrangerChangesPayout() public {
        bytes memory reason =
            abi.encodeWithSelector(IMembership.AccountUnknown.selector, address(this));
        vm.expectRevert(reason);
        membership.requestPayoutChange(NEW);
        vm.expectRevert(reason);
        membership.cancelPayoutChange();
    }

    function test_RevertWhen_ViewOfUnknownMember() public {
        vm.expectRevert(abi.encodeWithSelector(IMembership.MemberUnknown.selector, 99));
        membership.member(99);
        vm.expectRevert(abi.encodeWithSelector(IMembership.MemberUnknown.selector, 99));
        membership.payoutOf(99);
    }

    // ---------------------------------------------------------------- attestor sets

    function test_CreateAttestorSet_StoresItsHash() public {
        address[] memory list = _newAttestors("other", 3);
        vm.prank(NEW);
        uint32 set = membership.createAttestorSet(list, 2);
        (uint32 version, bytes32 setHash) = membership.attestorSet(set);
        assertEq(set, attestorSet + 1, "id");
        assertEq(version, 1, "version");
        assertEq(setHash, keccak256(abi.encode(uint8(2), list)), "hash");
        assertEq(membership.attestorSetCount(), 2, "count");
    }

    function test_RevertWhen_ThresholdIsNoMajority() public {
        address[] memory list = _newAttestors("other", 4);
        uint8[4] memory wrong = [0, 1, 2, 5];
        for (uint256 i = 0; i < wrong.length; ++i) {
            vm.expectRevert(
                abi.encodeWithSelector(IMembership.ThresholdInvalid.selector, wrong[i], 4)
            );
            membership.createAttestorSet(list, wrong[i]);
        }
        membership.createAttestorSet(list, 3);
        membership.createAttestorSet(list, 4);
        vm.expectRevert(abi.encodeWithSelector(IMembership.ThresholdInvalid.selector, 0, 0));
        membership.createAttestorSet(new address[](0), 0);
    }

    function test_RevertWhen_AttestorsNotSortedOrTooMany() public {
        address[] memory list = _newAttestors("other", 3);
        (list[1], list[2]) = (list[2], list[1]);
        vm.expectRevert(abi.encodeWithSelector(IMembership.AttestorsNotSorted.selector, 2));
        membership.createAttestorSet(list, 2);
        list[1] = list[2];
        vm.expectRevert(abi.encodeWithSelector(IMembership.AttestorsNotSorted.selector, 2));
        membership.createAttestorSet(list, 2);
        list[0] = address(0);
        vm.expectRevert(abi.encodeWithSelector(IMembership.AttestorsNotSorted.selector, 0));
        membership.createAttestorSet(list, 2);
        membership.createAttestorSet(_newAttestors("many", 32), 17);
        address[] memory many = _newAttestors("many", 33);
        vm.expectRevert(abi.encodeWithSelector(IMembership.AttestorsTooMany.selector, 33, 32));
        membership.createAttestorSet(many, 17);
    }

    function test_NameSuccessor_ByQuorumOfCurrentVersion() public {
        address[] memory next = _newAttestors("next", 3);
        bytes32 digest = membership.successorDigest(attestorSet, 2, next, 2);
        Quorum memory quorum = _quorum(digest, 3);
        vm.prank(NEW);
        membership.nameSuccessor(attestorSet, next, 2, quorum);
        (uint32 version, bytes32 setHash) = membership.attestorSet(attestorSet);
        assertEq(version, 2, "version");
        assertEq(setHash, keccak256(abi.encode(uint8(2), next)), "hash");

        // A removed attestor's signature is worth nothing, and so is a replay.
        vm.expectRevert(
            abi.encodeWithSelector(
                IMembership.AttestorSetMismatch.selector,
                attestorSet,
                setHash,
                keccak256(abi.encode(THRESHOLD, attestors))
            )
        );
        membership.nameSuccessor(attestorSet, next, 2, quorum);
    }

    function test_RevertWhen_RegistrarNamesSuccessor() public {
        address[] memory next = _newAttestors("next", 3);
        Quorum memory quorum = Quorum(THRESHOLD, attestors, "");
        vm.expectRevert(abi.encodeWithSelector(IMembership.SignaturesTooFew.selector, 0, 3));
        membership.nameSuccessor(attestorSet, next, 2, quorum);
        vm.expectRevert(abi.encodeWithSelector(IMembership.AttestorSetUnknown.selector, 9));
        membership.nameSuccessor(9, next, 2, quorum);
        vm.expectRevert(abi.encodeWithSelector(IMembership.ThresholdInvalid.selector, 1, 3));
        membership.nameSuccessor(attestorSet, next, 1, quorum);
    }

    // ---------------------------------------------------------------- quorum

    function test_RequireQuorum_AnyMajorityInOrder() public view {
        membership.requireQuorum(attestorSet, DIGEST, _quorum(DIGEST, 3));
        membership.requireQuorum(attestorSet, DIGEST, _quorum(DIGEST, 5));
        membership.requireQuorum(attestorSet, DIGEST, _signedBy(0, 2, 4));
        membership.requireQuorum(attestorSet, DIGEST, _signedBy(2, 3, 4));
    }

    function test_RevertWhen_QuorumTooSmallOrMalformed() public {
        Quorum memory quorum = _quorum(DIGEST, 2);
        _rejects(quorum, abi.encodeWithSelector(IMembership.SignaturesTooFew.selector, 2, 3));
        quorum.signatures = abi.encodePacked(_quorum(DIGEST, 3).signatures, uint8(0));
        _rejects(quorum, abi.encodeWithSelector(IMembership.SignaturesMalformed.selector, 196));
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
        membership.requireQuorum(attestorSet, DIGEST, quorum);
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
                IMembership.AttestorSetMismatch.selector,
                attestorSet,
                keccak256(abi.encode(THRESHOLD, attestors)),
                keccak256(abi.encode(uint8(1), attestors))
            )
        );
        membership.requireQuorum(attestorSet, DIGEST, quorum);
        vm.expectRevert(abi.encodeWithSelector(IMembership.AttestorSetUnknown.selector, 0));
        membership.requireQuorum(0, DIGEST, quorum);
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
        return abi.encodeWithSelector(IMembership.SignerNotInSet.selector, signer);
    }

    function _rejects(Quorum memory quorum, bytes memory reason) internal {
        vm.expectRevert(reason);
        membership.requireQuorum(attestorSet, DIGEST, quorum);
    }
}
