// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";

import {IMembership} from "adtally/interfaces/IMembership.sol";
import {World} from "../support/World.sol";

contract MembershipTest is World {
    address internal constant NEW = address(0xBEEF);

    // ---------------------------------------------------------------- registrar

    function test_Register_StoresEveryField() public view {
        IMembership.Member memory m = membership.member(PUB_A);
        assertEq(m.account, accountOf(PUB_A), "account");
        assertEq(m.roles, PUBLISHER_ROLE, "roles");
        assertEq(m.kycExpires, KYC_EXPIRES, "kycExpires");
        assertEq(m.kycReference, keccak256(abi.encode("kyc", PUB_A)), "kycReference");
        assertEq(m.eventKey, address(uint160(0xE0000000 + PUB_A)), "eventKey");
        assertEq(membership.eventKeyValidUntil(PUB_A, m.eventKey), type(uint64).max, "in use");
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
        membership.register(NEW, 31, 0, KYC_EXPIRES, NEW, NEW);
    }

    function test_RevertWhen_RegisterKycExpired() public {
        vm.expectRevert(abi.encodeWithSelector(IMembership.KycExpiryInPast.selector, START, START));
        membership.register(NEW, 1, 0, START, NEW, NEW);
        vm.expectRevert(
            abi.encodeWithSelector(IMembership.KycExpiryInPast.selector, START - 1, START)
        );
        membership.register(NEW, 1, 0, START - 1, NEW, NEW);
        membership.register(NEW, 1, 0, START + 1, NEW, NEW);
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
        assertEq(membership.member(PUB_A).eventKey, NEW, "key");
        assertEq(membership.eventKeyValidUntil(PUB_A, NEW), type(uint64).max, "in use");
        assertEq(membership.eventKeyValidUntil(PUB_A, old), START + 1 hours, "previous");
        assertEq(membership.eventKeyValidUntil(PUB_B, old), 0, "another member's");
    }

    /// @dev What an old key signed stays provable however often the key is changed afterwards.
    function test_ChangeEventKey_NoKeyIsForgotten() public {
        address old = membership.member(PUB_A).eventKey;
        vm.startPrank(accountOf(PUB_A));
        membership.changeEventKey(NEW, 1 hours);
        vm.warp(START + 5);
        membership.changeEventKey(address(0xCAFE), 0);
        assertEq(membership.eventKeyValidUntil(PUB_A, old), START + 1 hours, "first");
        assertEq(membership.eventKeyValidUntil(PUB_A, NEW), START + 5, "second");
        membership.changeEventKey(old, 0);
        assertEq(membership.eventKeyValidUntil(PUB_A, old), type(uint64).max, "in use again");
        membership.changeEventKey(address(0), 0);
        assertEq(membership.eventKeyValidUntil(PUB_A, old), START + 5, "retired again");
        assertEq(membership.eventKeyValidUntil(PUB_A, address(0)), 0, "no key is no key");
        membership.changeEventKey(NEW, 0);
        assertEq(membership.eventKeyValidUntil(PUB_A, address(0)), 0, "never a key");
        vm.stopPrank();
    }

    /// @dev A registrar with a delay must announce what it does: everybody sees it coming.
    function test_RevertWhen_RegistrarDoesNotWaitForItsDelay() public {
        address registrar = address(0x4E6);
        authority.grantRole(7, registrar, 1 days);
        bytes4[] memory restricted = new bytes4[](1);
        restricted[0] = membership.register.selector;
        authority.setTargetFunctionRole(address(membership), restricted, 7);
        bytes memory call_ = abi.encodeCall(membership.register, (NEW, 1, 0, KYC_EXPIRES, NEW, NEW));
        vm.startPrank(registrar);
        vm.expectRevert();
        membership.register(NEW, 1, 0, KYC_EXPIRES, NEW, NEW);
        authority.schedule(address(membership), call_, 0);
        vm.warp(START + 1 days - 1);
        vm.expectRevert();
        authority.execute(address(membership), call_);
        vm.warp(START + 1 days);
        authority.execute(address(membership), call_);
        vm.stopPrank();
        assertEq(membership.memberOf(NEW), 7, "registered");
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
        assertEq(membership.member(PUB_A).pendingPayoutFrom, 0, "nor a time");

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
}
