// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {ICampaignEscrow} from "adtally/interfaces/ICampaignEscrow.sol";
import {Counts, Statement} from "adtally/types/DataTypes.sol";
import {World} from "../support/World.sol";

/// @notice When the advertiser gets the rest back, and how much.
contract RefundTest is World {
    uint32 internal id;
    Counts internal a;
    Counts internal b;
    uint256 internal constant OPENS = FLIGHT_END + LATE + GRACE;

    function setUp() public override {
        super.setUp();
        id = _running();
        a = _counts(1001, 10);
        b = _counts(2001, 3);
        _anchor(5);
    }

    function test_Refund_OnceFinalIsActive() public {
        vm.warp(_finalTime());
        Statement memory statement = _statement(id, 1, a, b);
        statement.isFinal = true;
        _settle(statement);
        _refundFails(_finalTime() + DISPUTE);
        vm.warp(_finalTime() + DISPUTE);
        uint256 rest = 10_000 * DOLLAR - escrow.campaign(id).reserved;
        assertEq(escrow.refundable(id), rest, "refundable");
        assertEq(_refund(), rest, "amount");
        assertEq(dollar.balanceOf(payoutOf(ADVERTISER)), rest, "received");

        // Everything that is owed is still there, and nothing else.
        escrow.claim(id, _line(id, PUB_A, a, b));
        escrow.claim(id, _line(id, PUB_B, a, b));
        escrow.payCut(id, 0);
        escrow.payCut(id, 1);
        assertEq(dollar.balanceOf(address(escrow)), 0, "empty to the unit");
        escrow.bookPayouts(id);
        assertEq(escrow.liabilities(address(dollar)), 0, "no liabilities");
        vm.recordLogs();
        assertEq(_refund(), 0, "repeated");
        assertEq(vm.getRecordedLogs().length, 0, "in silence");
    }

    function test_Refund_BooksPayouts() public {
        _settle(_statement(id, 1, a, b));
        vm.warp(OPENS);
        uint256 left = escrow.campaign(id).reserved;
        left -= escrow.claim(id, _line(id, PUB_A, a, b));
        left -= escrow.payCut(id, 0);
        _refund();
        assertEq(escrow.liabilities(address(dollar)), left, "booked");
        assertEq(dollar.balanceOf(address(escrow)), left, "to the unit");
        assertEq(escrow.campaign(id).unbooked, 0, "nothing unbooked");
    }

    function test_Refund_OnceTheGraceIsOver() public {
        _settle(_statement(id, 1, a, b));
        _refundFails(OPENS);
        vm.warp(OPENS - 1);
        assertEq(escrow.refundable(id), 0, "not open");
        _refundFails(OPENS);
        vm.warp(OPENS);
        uint256 reserved = escrow.campaign(id).reserved;
        assertEq(_refund(), 10_000 * DOLLAR - reserved, "amount");
        assertEq(dollar.balanceOf(address(escrow)), reserved, "reserved");
    }

    function test_Refund_SparesAPendingStatement() public {
        vm.warp(OPENS);
        _settle(_statement(id, 1, a, b));
        uint256 reserved = escrow.campaign(id).reserved;
        assertEq(_refund(), 10_000 * DOLLAR - reserved, "amount");
        vm.warp(OPENS + DISPUTE);
        assertEq(escrow.claim(id, _line(id, PUB_A, a, b)), _amount(a), "line");
    }

    function test_Refund_ThenTopUpThenSettleThenRefundAgain() public {
        vm.warp(OPENS);
        assertEq(_refund(), 10_000 * DOLLAR, "all");
        _settleReverts(
            _statement(id, 1, a, b),
            abi.encodeWithSelector(
                ICampaignEscrow.EscrowInsufficient.selector, _reserveOf(_amount(a) + _amount(b)), 0
            )
        );
        _fund(id, 100 * DOLLAR);
        _settle(_statement(id, 1, a, b));
        assertEq(_refund(), 100 * DOLLAR - escrow.campaign(id).reserved, "the rest");
    }

    function test_Refund_EarlierAfterAnEarlyEnd() public {
        vm.prank(accountOf(ADVERTISER));
        escrow.endCampaign(id);
        uint256 opens = START + NOTICE + LATE + GRACE;
        _refundFails(opens);
        vm.warp(opens);
        assertEq(_refund(), 10_000 * DOLLAR, "all");
    }

    /// @dev A long dispute window of a final statement does not keep the rest beyond the grace.
    function test_Refund_FinalStillPendingWhenTheGraceIsOver() public {
        vm.warp(OPENS - 1);
        Statement memory statement = _statement(id, 1, a, b);
        statement.isFinal = true;
        _settle(statement);
        _refundFails(OPENS);
        vm.warp(OPENS);
        assertEq(_refund(), 10_000 * DOLLAR - escrow.campaign(id).reserved, "rest");
    }

    function test_Refund_SurvivesPauseAndRegistrar() public {
        vm.warp(OPENS);
        escrow.pause();
        membership.setRoles(ADVERTISER, 0);
        membership.renewKyc(ADVERTISER, 0, 0);
        assertEq(_refund(), 10_000 * DOLLAR, "all");
    }

    function test_RevertWhen_RefundByOthers() public {
        vm.warp(OPENS);
        vm.prank(accountOf(PUB_A));
        vm.expectRevert(
            abi.encodeWithSelector(ICampaignEscrow.NotAdvertiser.selector, id, accountOf(PUB_A))
        );
        escrow.refund(id);
        vm.expectRevert(abi.encodeWithSelector(ICampaignEscrow.CampaignUnknown.selector, 9));
        escrow.refund(9);
        vm.expectRevert(abi.encodeWithSelector(ICampaignEscrow.CampaignUnknown.selector, 9));
        escrow.refundable(9);
    }

    function test_RevertWhen_AdvertiserPayoutIsTheEscrow() public {
        vm.prank(accountOf(ADVERTISER));
        membership.requestPayoutChange(address(escrow));
        vm.warp(OPENS);
        vm.prank(accountOf(ADVERTISER));
        vm.expectRevert(abi.encodeWithSelector(ICampaignEscrow.PayoutIsEscrow.selector, ADVERTISER));
        escrow.refund(id);
    }

    function _refund() internal returns (uint256) {
        vm.prank(accountOf(ADVERTISER));
        return escrow.refund(id);
    }

    function _refundFails(uint256 opensAt) internal {
        vm.prank(accountOf(ADVERTISER));
        vm.expectRevert(
            abi.encodeWithSelector(ICampaignEscrow.RefundNotOpen.selector, block.timestamp, opensAt)
        );
        escrow.refund(id);
    }

    function _reserveOf(uint256 total) internal pure returns (uint256) {
        return total + total * 1000 / 10_000 + total * 333 / 10_000;
    }
}
