// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {ICampaignEscrow} from "adtally/interfaces/ICampaignEscrow.sol";
import {Counts, Statement, Terms} from "adtally/types/DataTypes.sol";
import {Objection} from "adtally/types/EscrowStorage.sol";
import {
    BlocklistToken,
    FeeToken,
    GenerousToken,
    ReentrantToken
} from "../support/HostileTokens.sol";
import {World} from "../support/World.sol";

/// @notice The advertiser's objection: bonded, once, decided by the next statement.
contract ObjectionTest is World {
    address internal constant BURN = 0x000000000000000000000000000000000000dEaD;
    uint256 internal constant CLOSES = FLIGHT_END + LATE + GRACE;

    uint32 internal id;
    Counts internal a;
    Counts internal b;

    function setUp() public override {
        super.setUp();
        a = _counts(1001, 10);
        b = _counts(2001, 3);
        _anchor(5);
        _begin();
    }

    function test_Object_ExtendsTheWindowOnce() public {
        _settle(_statement(id, 1, a, b));
        vm.warp(START + DISPUTE - 1);
        dollar.mint(accountOf(ADVERTISER), OBJECTION_BOND);
        vm.startPrank(accountOf(ADVERTISER));
        dollar.approve(address(escrow), OBJECTION_BOND);
        vm.expectEmit(address(escrow));
        emit ICampaignEscrow.ObjectionRaised(
            id, 1, OBJECTION_BOND, START + 2 * DISPUTE, "clicks from one machine"
        );
        escrow.objectTo(id, 1, "clicks from one machine");
        vm.stopPrank();
        ICampaignEscrow.CampaignView memory c = escrow.campaign(id);
        assertEq(c.latest.activatesAt, START + 2 * DISPUTE, "extended");
        assertEq(uint8(c.objection), uint8(Objection.Open), "open");
        assertEq(
            escrow.liabilities(address(dollar)), 10_000 * DOLLAR + OBJECTION_BOND, "bond is owed"
        );
        assertEq(c.funded, 10_000 * DOLLAR, "and is no deposit");
        _objectReverts(1, abi.encodeWithSelector(ICampaignEscrow.ObjectionBondHeld.selector, id));
        vm.warp(START + 2 * DISPUTE - 1);
        assertEq(escrow.campaign(id).active.sequence, 0, "pending");
        vm.warp(START + 2 * DISPUTE);
        assertEq(escrow.claim(id, _line(id, PUB_A, a, b)), _amount(a), "the line was only delayed");
    }

    function test_Object_UpheldByACorrection() public {
        _objectTo1();
        Statement memory next = _statement(id, 2, a, b);
        next.corrections = 1;
        vm.expectEmit(address(escrow));
        emit ICampaignEscrow.ObjectionDecided(id, 1, true);
        _settle(next);
        assertEq(uint8(escrow.campaign(id).objection), uint8(Objection.Upheld), "upheld");
        assertEq(escrow.releaseObjectionBond(id), payoutOf(ADVERTISER), "back");
        assertEq(dollar.balanceOf(payoutOf(ADVERTISER)), OBJECTION_BOND, "the whole bond");
        assertEq(escrow.liabilities(address(dollar)), 10_000 * DOLLAR, "no longer owed");
        _releaseReverts(abi.encodeWithSelector(ICampaignEscrow.ObjectionUnknown.selector, id));
        _object(2);
    }

    function test_Object_RejectedWithoutACorrection() public {
        Statement memory first = _statement(id, 1, a, b);
        first.corrections = 3;
        _settle(first);
        _object(1);
        vm.warp(START + 2 * DISPUTE);
        Statement memory next = _statement(id, 2, _counts(3001, 11), b);
        next.corrections = 3;
        vm.expectEmit(address(escrow));
        emit ICampaignEscrow.ObjectionDecided(id, 1, false);
        _settle(next);
        _objectReverts(2, abi.encodeWithSelector(ICampaignEscrow.ObjectionBondHeld.selector, id));
        vm.prank(address(0xBEEF));
        assertEq(escrow.releaseObjectionBond(id), BURN, "burned, by anyone");
        assertEq(dollar.balanceOf(BURN), OBJECTION_BOND, "the whole bond");
        assertEq(uint8(escrow.campaign(id).objection), uint8(Objection.None), "none");
    }

    /// @dev An objected statement can't be the last word, so a final one needs a successor.
    function test_Object_ToTheFinalStatementReopens() public {
        vm.warp(_finalTime());
        Statement memory last = _statement(id, 1, a, b);
        last.isFinal = true;
        _settle(last);
        _object(1);
        assertTrue(!escrow.campaign(id).latest.isFinal, "no longer final");
        vm.warp(_finalTime() + 2 * DISPUTE);
        vm.prank(accountOf(ADVERTISER));
        vm.expectRevert(
            abi.encodeWithSelector(
                ICampaignEscrow.RefundNotOpen.selector, _finalTime() + 2 * DISPUTE, CLOSES
            )
        );
        escrow.refund(id);
        Statement memory next = _statement(id, 2, a, b);
        next.isFinal = true;
        _settle(next);
        vm.warp(_finalTime() + 3 * DISPUTE);
        vm.prank(accountOf(ADVERTISER));
        escrow.refund(id);
        assertEq(escrow.claim(id, _line(id, PUB_A, a, b)), _amount(a), "line");
    }

    /// @dev The operator vanished: nobody decides, and nobody loses the bond.
    function test_Object_UndecidedAtClosingIsReturned() public {
        _objectTo1();
        _releaseReverts(
            abi.encodeWithSelector(ICampaignEscrow.ObjectionUndecided.selector, id, CLOSES)
        );
        vm.warp(CLOSES - 1);
        _releaseReverts(
            abi.encodeWithSelector(ICampaignEscrow.ObjectionUndecided.selector, id, CLOSES)
        );
        vm.warp(CLOSES);
        assertEq(escrow.releaseObjectionBond(id), payoutOf(ADVERTISER), "back");
        assertEq(escrow.claim(id, _line(id, PUB_A, a, b)), _amount(a), "line");
    }

    function test_Object_UndecidedIsReturnedAnyTimeAfterClosing() public {
        _objectTo1();
        vm.warp(CLOSES + 100 days);
        assertEq(escrow.releaseObjectionBond(id), payoutOf(ADVERTISER), "back");
    }

    function test_RevertWhen_ObjectionIsNotTimely() public {
        _objectReverts(1, _sequenceWrong(0, 1));
        _objectReverts(0, _tooLate(0));
        _settle(_statement(id, 1, a, b));
        _objectReverts(2, _sequenceWrong(1, 2));
        _objectReverts(0, _sequenceWrong(1, 0));
        vm.warp(START + DISPUTE);
        _objectReverts(1, _tooLate(START + DISPUTE));
        // After closing the advertiser could hold up lines for nothing.
        vm.warp(CLOSES);
        _settle(_statement(id, 2, a, b));
        _objectReverts(2, _tooLate(CLOSES + DISPUTE));
    }

    function test_RevertWhen_ObjectionByOthersOrUnknown() public {
        _settle(_statement(id, 1, a, b));
        vm.prank(accountOf(PUB_A));
        vm.expectRevert(
            abi.encodeWithSelector(ICampaignEscrow.NotAdvertiser.selector, id, accountOf(PUB_A))
        );
        escrow.objectTo(id, 1, "mine");
        vm.expectRevert(abi.encodeWithSelector(ICampaignEscrow.CampaignUnknown.selector, 9));
        escrow.objectTo(9, 1, "none");
        vm.expectRevert(abi.encodeWithSelector(ICampaignEscrow.CampaignUnknown.selector, 9));
        escrow.releaseObjectionBond(9);
        _releaseReverts(abi.encodeWithSelector(ICampaignEscrow.ObjectionUnknown.selector, id));
    }

    function test_RevertWhen_ReasonIsTooLong() public {
        _settle(_statement(id, 1, a, b));
        vm.startPrank(accountOf(ADVERTISER));
        vm.expectRevert(abi.encodeWithSelector(ICampaignEscrow.ReasonTooLong.selector, 513, 512));
        escrow.objectTo(id, 1, string(new bytes(513)));
        dollar.mint(accountOf(ADVERTISER), OBJECTION_BOND);
        dollar.approve(address(escrow), OBJECTION_BOND);
        escrow.objectTo(id, 1, string(new bytes(512)));
        vm.stopPrank();
    }

    function test_RevertWhen_BondIsNotPaid() public {
        _settle(_statement(id, 1, a, b));
        vm.prank(accountOf(ADVERTISER));
        vm.expectRevert();
        escrow.objectTo(id, 1, "no allowance");
        dollar = new FeeToken();
        _begin();
        _settle(_statement(id, 1, a, b));
        dollar.mint(accountOf(ADVERTISER), OBJECTION_BOND);
        vm.startPrank(accountOf(ADVERTISER));
        dollar.approve(address(escrow), OBJECTION_BOND);
        vm.expectRevert(
            abi.encodeWithSelector(
                ICampaignEscrow.BondNotReceived.selector,
                OBJECTION_BOND,
                OBJECTION_BOND - OBJECTION_BOND / 100
            )
        );
        escrow.objectTo(id, 1, "a fee on transfer");
        vm.stopPrank();
    }

    /// @dev What comes in beside the bond would be booked twice.
    function test_Object_NothingComesInBesideTheBond() public {
        ReentrantToken token = new ReentrantToken();
        dollar = token;
        _begin();
        _settle(_statement(id, 1, a, b));
        token.mint(address(token), 100);
        token.allow(address(escrow));
        dollar.mint(accountOf(ADVERTISER), OBJECTION_BOND);
        vm.startPrank(accountOf(ADVERTISER));
        dollar.approve(address(escrow), OBJECTION_BOND);
        token.arm(address(escrow), abi.encodeCall(escrow.fund, (id, 50)), false);
        escrow.objectTo(id, 1, "why");
        vm.stopPrank();
        assertEq(token.target(), address(0), "called back");
        assertTrue(!token.hasReentered(), "guarded");
        assertEq(
            token.balanceOf(address(escrow)), escrow.liabilities(address(token)), "booked once"
        );
    }

    function test_RevertWhen_BondIsMoreThanAsked() public {
        dollar = new GenerousToken();
        _begin();
        _settle(_statement(id, 1, a, b));
        dollar.mint(accountOf(ADVERTISER), OBJECTION_BOND);
        vm.startPrank(accountOf(ADVERTISER));
        dollar.approve(address(escrow), OBJECTION_BOND);
        vm.expectRevert(
            abi.encodeWithSelector(
                ICampaignEscrow.BondNotReceived.selector, OBJECTION_BOND, OBJECTION_BOND + 1
            )
        );
        escrow.objectTo(id, 1, "one unit more");
        vm.stopPrank();
    }

    function test_RevertWhen_StatementsHaveNoWindow() public {
        Terms memory terms = _terms();
        (terms.disputeWindow, terms.objectionBond) = (0, 0);
        id = _open(terms);
        _order(id, PUB_A, CAP);
        _order(id, PUB_B, CAP);
        _fund(id, 10_000 * DOLLAR);
        _settle(_statement(id, 1, a, b));
        _objectReverts(1, _tooLate(START));
    }

    function test_Object_WhilePaused() public {
        _settle(_statement(id, 1, a, b));
        escrow.pause();
        membership.setRoles(ADVERTISER, 0);
        _object(1);
    }

    /// @dev A payee that the token refuses holds up nothing but its own bond.
    function test_Release_BlockedPayeeHoldsUpNothingElse() public {
        BlocklistToken token = new BlocklistToken();
        dollar = token;
        _begin();
        _objectTo1();
        Statement memory next = _statement(id, 2, a, b);
        next.corrections = 1;
        token.setBlocked(payoutOf(ADVERTISER), true);
        _settle(next);
        _releaseReverts(
            abi.encodeWithSelector(BlocklistToken.Blocked.selector, payoutOf(ADVERTISER))
        );
        vm.warp(block.timestamp + DISPUTE);
        assertEq(escrow.claim(id, _line(id, PUB_A, a, b)), _amount(a), "line");
        Statement memory third = _statement(id, 3, a, b);
        third.corrections = 1;
        _settle(third);
        token.setBlocked(payoutOf(ADVERTISER), false);
        assertEq(escrow.releaseObjectionBond(id), payoutOf(ADVERTISER), "later");
    }

    function test_Release_ReentrantTokenIsPaidOnce() public {
        ReentrantToken token = new ReentrantToken();
        dollar = token;
        _begin();
        _objectTo1();
        Statement memory next = _statement(id, 2, a, b);
        next.corrections = 1;
        _settle(next);
        token.arm(address(escrow), abi.encodeCall(escrow.releaseObjectionBond, (id)), true);
        escrow.releaseObjectionBond(id);
        assertTrue(!token.hasReentered(), "refused");
        assertEq(token.balanceOf(payoutOf(ADVERTISER)), OBJECTION_BOND, "once");
    }

    /// @dev A payout to the escrow itself would leave money there that nobody is owed.
    function test_RevertWhen_ReleasedToTheEscrow() public {
        vm.prank(accountOf(ADVERTISER));
        membership.requestPayoutChange(address(escrow));
        _objectTo1();
        vm.warp(CLOSES);
        _releaseReverts(abi.encodeWithSelector(ICampaignEscrow.PayoutIsEscrow.selector, ADVERTISER));
    }

    // ---------------------------------------------------------------- helpers

    function _begin() internal {
        id = _running();
    }

    function _objectTo1() internal {
        _settle(_statement(id, 1, a, b));
        _object(1);
        vm.warp(block.timestamp + 2 * DISPUTE);
    }

    function _object(uint32 sequence) internal {
        address from = accountOf(ADVERTISER);
        dollar.mint(from, OBJECTION_BOND);
        vm.startPrank(from);
        dollar.approve(address(escrow), OBJECTION_BOND);
        escrow.objectTo(id, sequence, "clicks from one machine");
        vm.stopPrank();
    }

    function _objectReverts(uint32 sequence, bytes memory reason) internal {
        vm.prank(accountOf(ADVERTISER));
        vm.expectRevert(reason);
        escrow.objectTo(id, sequence, "why");
    }

    function _releaseReverts(bytes memory reason) internal {
        vm.expectRevert(reason);
        escrow.releaseObjectionBond(id);
    }

    function _sequenceWrong(uint32 expected, uint32 found) internal view returns (bytes memory) {
        return abi.encodeWithSelector(ICampaignEscrow.SequenceWrong.selector, id, expected, found);
    }

    function _tooLate(uint256 activatesAt) internal view returns (bytes memory) {
        return
            abi.encodeWithSelector(
                ICampaignEscrow.ObjectionTooLate.selector, id, activatesAt, CLOSES
            );
    }
}
