// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";

import {CampaignEscrow} from "adtally/CampaignEscrow.sol";
import {ICampaignEscrow} from "adtally/interfaces/ICampaignEscrow.sol";
import {Cut, GoalType, Rates, Terms} from "adtally/types/DataTypes.sol";
import {World} from "../support/World.sol";

/// @notice Opening and ending campaigns; offering, accepting and ending orders; pausing.
contract CampaignTest is World {
    // ---------------------------------------------------------------- campaigns

    function test_OpenCampaign_StoresTheTerms() public {
        Terms memory wanted = _terms();
        uint32 id = _open(wanted);
        assertEq(id, 1, "first id");
        assertEq(keccak256(abi.encode(escrow.terms(id))), keccak256(abi.encode(wanted)), "terms");
        ICampaignEscrow.CampaignView memory c = escrow.campaign(id);
        assertEq(c.advertiser, ADVERTISER, "advertiser");
        assertEq(c.flightEnd, FLIGHT_END, "flightEnd");
        assertEq(c.funded + c.claimed + c.refunded + c.cutsPaid + c.reserved, 0, "no money");
        assertEq(c.latest.sequence + c.active.sequence, 0, "no statement");
        assertEq(_open(wanted), 2, "second id");
        assertEq(escrow.campaignCount(), 2, "count");
    }

    function test_OpenCampaign_StartsAtFirstCampaign() public {
        escrow = new CampaignEscrow(address(authority), eventLog, 1000);
        assertEq(_open(_terms()), 1000, "first id");
        vm.expectRevert(ICampaignEscrow.CampaignIdZero.selector);
        new CampaignEscrow(address(authority), eventLog, 0);
    }

    function test_OpenCampaign_WithoutGoalAndCuts() public {
        Terms memory terms = _terms();
        terms.goalType = GoalType.None;
        terms.goalCount = 0;
        terms.cuts = new Cut[](0);
        uint32 id = _open(terms);
        assertEq(escrow.terms(id).cuts.length, 0, "no cuts");
    }

    function test_RevertWhen_OpenedByOthers() public {
        Terms memory terms = _terms();
        _opensFail(accountOf(PUB_A), terms);
        _opensFail(address(0xBEEF), terms);
        vm.warp(KYC_EXPIRES);
        _opensFail(accountOf(ADVERTISER), terms);
    }

    function test_RevertWhen_TermsInvalid() public {
        Terms memory terms = _terms();
        terms.token = address(0xBEEF);
        _termsFail(terms, "token is no contract");
        terms = _terms();
        terms.flightStart = terms.flightEnd;
        _termsFail(terms, "flight is empty");
        terms.flightStart = terms.flightEnd + 1;
        _termsFail(terms, "flight is empty");
        terms = _terms();
        terms.flightStart = START - 2;
        terms.flightEnd = START;
        _termsFail(terms, "flight is over");
        terms.flightEnd = START - 1;
        _termsFail(terms, "flight is over");
        terms = _terms();
        terms.flightEnd = START + 3650 days + 1;
        _termsFail(terms, "flight ends too late");
        terms = _terms();
        terms.lateWindow = 365 days + 1;
        _termsFail(terms, "late window too long");
        terms = _terms();
        terms.correctionWindow = 365 days + 1;
        _termsFail(terms, "correction window too long");
        terms = _terms();
        terms.grace = 1 days + 3 * DISPUTE - 1;
        _termsFail(terms, "grace too short");
        terms = _terms();
        terms.holdbackBasisPoints = 5001;
        _termsFail(terms, "holdback too high");
        terms = _terms();
        terms.objectionBond = 0;
        _termsFail(terms, "dispute window and objection bond go together");
        terms = _terms();
        terms.disputeWindow = 0;
        _termsFail(terms, "dispute window and objection bond go together");
        terms = _terms();
        terms.disputeWindow = 365 days + 1;
        _termsFail(terms, "dispute window too long");
        terms = _terms();
        terms.grace = 365 days + 1;
        _termsFail(terms, "grace too long");
        terms = _terms();
        terms.notice = 365 days + 1;
        _termsFail(terms, "notice too long");
        terms = _terms();
        terms.goalCount = 0;
        _termsFail(terms, "goal without count or count without goal");
        terms = _terms();
        terms.goalType = GoalType.None;
        _termsFail(terms, "goal without count or count without goal");
        terms = _terms();
        terms.attestorSet = 99;
        _termsFail(terms, "attestor set unknown");
    }

    function test_RevertWhen_CutsInvalid() public {
        Terms memory terms = _terms();
        terms.cuts = new Cut[](5);
        _termsFail(terms, "too many cuts");
        terms = _terms();
        terms.cuts[0].basisPoints = 0;
        _termsFail(terms, "cut of nothing");
        terms = _terms();
        terms.cuts[1].member = PUB_A;
        _termsFail(terms, "cut for no active intermediary");
        terms = _terms();
        terms.cuts[1].basisPoints = 9001;
        _termsFail(terms, "cuts over 10,000 basis points");
        terms.cuts[1].basisPoints = 9000;
        _open(terms);
    }

    function test_TermsBounds_AreAllowed() public {
        Terms memory terms = _terms();
        terms.flightEnd = START + 3650 days;
        terms.lateWindow = terms.correctionWindow = terms.grace = terms.notice = 365 days;
        terms.disputeWindow = 364 days / 3;
        terms.holdbackBasisPoints = 5000;
        terms.cuts = new Cut[](4);
        for (uint256 i = 0; i < 4; ++i) {
            terms.cuts[i] = Cut(AGENCY, 2500);
        }
        uint32 id = _open(terms);
        assertEq(escrow.refundable(id), 0, "nothing to refund");
        assertEq(keccak256(abi.encode(escrow.terms(id))), keccak256(abi.encode(terms)), "stored");
    }

    function test_EndCampaign_AfterNotice() public {
        uint32 id = _open(_terms());
        vm.prank(accountOf(ADVERTISER));
        escrow.endCampaign(id);
        assertEq(escrow.campaign(id).flightEnd, START + NOTICE, "new end");
        assertEq(escrow.terms(id).flightEnd, FLIGHT_END, "terms as opened");

        vm.warp(START + 1);
        vm.prank(accountOf(ADVERTISER));
        vm.expectRevert(
            abi.encodeWithSelector(
                ICampaignEscrow.EndsAlready.selector, START + NOTICE, START + NOTICE + 1
            )
        );
        escrow.endCampaign(id);
        vm.warp(START);
        vm.prank(accountOf(ADVERTISER));
        vm.expectRevert(
            abi.encodeWithSelector(
                ICampaignEscrow.EndsAlready.selector, START + NOTICE, START + NOTICE
            )
        );
        escrow.endCampaign(id);
    }

    function test_RevertWhen_EndCampaignByOthersOrUnknown() public {
        uint32 id = _open(_terms());
        vm.prank(accountOf(PUB_A));
        vm.expectRevert(
            abi.encodeWithSelector(ICampaignEscrow.NotAdvertiser.selector, id, accountOf(PUB_A))
        );
        escrow.endCampaign(id);
        vm.expectRevert(abi.encodeWithSelector(ICampaignEscrow.CampaignUnknown.selector, 9));
        escrow.endCampaign(9);
        vm.expectRevert(abi.encodeWithSelector(ICampaignEscrow.CampaignUnknown.selector, 9));
        escrow.campaign(9);
        vm.expectRevert(abi.encodeWithSelector(ICampaignEscrow.CampaignUnknown.selector, 9));
        escrow.terms(9);
    }

    // ---------------------------------------------------------------- orders

    function test_Order_OfferedReplacedAccepted() public {
        uint32 id = _open(_terms());
        vm.startPrank(accountOf(ADVERTISER));
        escrow.offerOrder(id, PUB_A, Rates(1, 2, 3, 4), 5);
        escrow.offerOrder(id, PUB_A, _rates(), CAP);
        vm.stopPrank();
        assertEq(uint8(escrow.order(id, PUB_A).state), 1, "offered");
        vm.prank(accountOf(PUB_A));
        escrow.acceptOrder(id, _rates(), CAP);
        ICampaignEscrow.Order memory order = escrow.order(id, PUB_A);
        assertEq(uint8(order.state), 2, "accepted");
        assertEq(keccak256(abi.encode(order.rates)), keccak256(abi.encode(_rates())), "rates");
        assertEq(order.cap, CAP, "cap");
        assertEq(order.paid + order.endsAt, 0, "fresh");
        assertEq(uint8(escrow.order(id, PUB_B).state), 0, "none");
    }

    function test_RevertWhen_AcceptedOrderIsChanged() public {
        uint32 id = _open(_terms());
        _order(id, PUB_A, CAP);
        bytes memory reason =
            abi.encodeWithSelector(ICampaignEscrow.OrderAlreadyAccepted.selector, id, PUB_A);
        vm.prank(accountOf(ADVERTISER));
        vm.expectRevert(reason);
        escrow.offerOrder(id, PUB_A, _rates(), CAP);
        vm.prank(accountOf(PUB_A));
        vm.expectRevert(reason);
        escrow.acceptOrder(id, _rates(), CAP);
    }

    function test_RevertWhen_OfferInvalid() public {
        uint32 id = _open(_terms());
        vm.prank(accountOf(PUB_B));
        vm.expectRevert(
            abi.encodeWithSelector(ICampaignEscrow.NotAdvertiser.selector, id, accountOf(PUB_B))
        );
        escrow.offerOrder(id, PUB_A, _rates(), CAP);
        vm.startPrank(accountOf(ADVERTISER));
        vm.expectRevert(abi.encodeWithSelector(ICampaignEscrow.NotPublisher.selector, AGENCY));
        escrow.offerOrder(id, AGENCY, _rates(), CAP);
        vm.expectRevert(ICampaignEscrow.AmountZero.selector);
        escrow.offerOrder(id, PUB_A, _rates(), 0);
        uint128 most = type(uint88).max;
        vm.expectRevert(
            abi.encodeWithSelector(ICampaignEscrow.CapTooLarge.selector, most + 1, most)
        );
        escrow.offerOrder(id, PUB_A, _rates(), most + 1);
        escrow.offerOrder(id, PUB_A, _rates(), most);
        assertEq(escrow.order(id, PUB_A).cap, most, "the largest cap");
        vm.expectRevert(abi.encodeWithSelector(ICampaignEscrow.CampaignUnknown.selector, 9));
        escrow.offerOrder(9, PUB_A, _rates(), CAP);
        for (uint256 late = 0; late < 2; ++late) {
            vm.warp(FLIGHT_END + late);
            vm.expectRevert(abi.encodeWithSelector(ICampaignEscrow.CampaignClosed.selector, id));
            escrow.offerOrder(id, PUB_A, _rates(), CAP);
        }
        vm.stopPrank();
    }

    function test_RevertWhen_OfferByExpiredAdvertiser() public {
        uint32 id = _open(_terms());
        membership.renewKyc(ADVERTISER, 0, START);
        address caller = accountOf(ADVERTISER);
        vm.prank(caller);
        vm.expectRevert(abi.encodeWithSelector(ICampaignEscrow.NotActiveMember.selector, caller, 1));
        escrow.offerOrder(id, PUB_A, _rates(), CAP);
    }

    function test_RevertWhen_AcceptInvalid() public {
        uint32 id = _open(_terms());
        vm.prank(accountOf(PUB_A));
        vm.expectRevert(abi.encodeWithSelector(ICampaignEscrow.OrderNotOffered.selector, id, PUB_A));
        escrow.acceptOrder(id, _rates(), CAP);
        vm.prank(accountOf(ADVERTISER));
        escrow.offerOrder(id, PUB_A, _rates(), CAP);
        vm.prank(accountOf(AGENCY));
        vm.expectRevert(
            abi.encodeWithSelector(
                ICampaignEscrow.NotActiveMember.selector, accountOf(AGENCY), PUBLISHER_ROLE
            )
        );
        escrow.acceptOrder(id, _rates(), CAP);
        vm.warp(FLIGHT_END);
        vm.prank(accountOf(PUB_A));
        vm.expectRevert(abi.encodeWithSelector(ICampaignEscrow.CampaignClosed.selector, id));
        escrow.acceptOrder(id, _rates(), CAP);
    }

    function test_RevertWhen_AcceptDiffersFromOffer() public {
        uint32 id = _open(_terms());
        vm.prank(accountOf(ADVERTISER));
        escrow.offerOrder(id, PUB_A, _rates(), CAP);
        Rates memory wrong = _rates();
        wrong.perMilleImpressions += 1;
        _acceptFails(id, wrong, CAP);
        wrong = _rates();
        wrong.perMilleViewables += 1;
        _acceptFails(id, wrong, CAP);
        wrong = _rates();
        wrong.perClick += 1;
        _acceptFails(id, wrong, CAP);
        wrong = _rates();
        wrong.perConversion += 1;
        _acceptFails(id, wrong, CAP);
        _acceptFails(id, _rates(), CAP + 1);
    }

    function test_EndOrder_AfterNotice() public {
        uint32 id = _open(_terms());
        vm.startPrank(accountOf(ADVERTISER));
        vm.expectRevert(
            abi.encodeWithSelector(ICampaignEscrow.OrderNotAccepted.selector, id, PUB_A)
        );
        escrow.endOrder(id, PUB_A);
        vm.stopPrank();
        _order(id, PUB_A, CAP);
        vm.expectRevert(
            abi.encodeWithSelector(ICampaignEscrow.NotAdvertiser.selector, id, address(this))
        );
        escrow.endOrder(id, PUB_A);
        vm.startPrank(accountOf(ADVERTISER));
        escrow.endOrder(id, PUB_A);
        assertEq(escrow.order(id, PUB_A).endsAt, START + NOTICE, "ends");
        vm.expectRevert(
            abi.encodeWithSelector(
                ICampaignEscrow.EndsAlready.selector, START + NOTICE, START + NOTICE
            )
        );
        escrow.endOrder(id, PUB_A);
        vm.stopPrank();
    }

    function test_RevertWhen_EndOrderAfterTheFlight() public {
        uint32 id = _open(_terms());
        _order(id, PUB_A, CAP);
        for (uint64 late = 0; late < 2; ++late) {
            uint64 end = FLIGHT_END + late;
            vm.warp(end - NOTICE);
            vm.prank(accountOf(ADVERTISER));
            vm.expectRevert(
                abi.encodeWithSelector(ICampaignEscrow.EndsAlready.selector, FLIGHT_END, end)
            );
            escrow.endOrder(id, PUB_A);
        }
    }

    // ---------------------------------------------------------------- pause

    function test_Pause_StopsNewBusinessOnly() public {
        uint32 id = _open(_terms());
        _order(id, PUB_A, CAP);
        escrow.pause();
        bytes memory reason = abi.encodeWithSelector(Pausable.EnforcedPause.selector);
        Terms memory terms = _terms();
        vm.startPrank(accountOf(ADVERTISER));
        vm.expectRevert(reason);
        escrow.openCampaign(terms);
        vm.expectRevert(reason);
        escrow.offerOrder(id, PUB_B, _rates(), CAP);
        vm.expectRevert(reason);
        escrow.fund(id, 1);
        vm.expectRevert(reason);
        escrow.fundWithPermit(id, 1, 0, 0, 0, 0);
        escrow.endOrder(id, PUB_A);
        escrow.endCampaign(id);
        vm.stopPrank();
        vm.prank(accountOf(PUB_B));
        vm.expectRevert(reason);
        escrow.acceptOrder(id, _rates(), CAP);
        escrow.unpause();
        _fund(id, 1);
    }

    function test_RevertWhen_PausedByStranger() public {
        vm.startPrank(accountOf(ADVERTISER));
        vm.expectRevert();
        escrow.pause();
        vm.expectRevert();
        escrow.unpause();
        vm.stopPrank();
    }

    // ---------------------------------------------------------------- helpers

    function _opensFail(address caller, Terms memory terms) internal {
        vm.prank(caller);
        vm.expectRevert(
            abi.encodeWithSelector(
                ICampaignEscrow.NotActiveMember.selector, caller, ADVERTISER_ROLE
            )
        );
        escrow.openCampaign(terms);
    }

    function _termsFail(Terms memory terms, string memory reason) internal {
        vm.prank(accountOf(ADVERTISER));
        vm.expectRevert(abi.encodeWithSelector(ICampaignEscrow.TermsInvalid.selector, reason));
        escrow.openCampaign(terms);
    }

    function _acceptFails(uint32 id, Rates memory rates, uint128 cap) internal {
        vm.prank(accountOf(PUB_A));
        vm.expectRevert(abi.encodeWithSelector(ICampaignEscrow.OrderDiffers.selector, id, PUB_A));
        escrow.acceptOrder(id, rates, cap);
    }
}
