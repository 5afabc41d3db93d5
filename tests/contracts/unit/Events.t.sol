// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IAttestorSets} from "adtally/interfaces/IAttestorSets.sol";
import {ICampaignEscrow} from "adtally/interfaces/ICampaignEscrow.sol";
import {IEventLog} from "adtally/interfaces/IEventLog.sol";
import {IMembership} from "adtally/interfaces/IMembership.sol";
import {IOperatorBond} from "adtally/interfaces/IOperatorBond.sol";
import {MockDollar} from "adtally/mocks/MockDollar.sol";
import {Checkpoint, Counts, Quorum, Rates, Statement, Terms} from "adtally/types/DataTypes.sol";
import {Objection} from "adtally/types/EscrowStorage.sol";
import {BondWorld} from "../support/BondWorld.sol";

/// @notice Everything that an auditor needs is in the events, to the last word.
contract EventsTest is BondWorld {
    address internal constant NEW = address(0xBEEF);

    // ---------------------------------------------------------------- members

    function test_Event_MemberRegistered() public {
        vm.expectEmit(address(membership));
        emit IMembership.MemberRegistered(
            7, NEW, 9, keccak256("kyc"), KYC_EXPIRES, address(0xE1), address(0xFA)
        );
        membership.register(NEW, 9, keccak256("kyc"), KYC_EXPIRES, address(0xE1), address(0xFA));
    }

    function test_Events_OfTheRegistrarsChanges() public {
        vm.expectEmit(address(membership));
        emit IMembership.RolesChanged(PUB_A, 3);
        membership.setRoles(PUB_A, 3);
        vm.expectEmit(address(membership));
        emit IMembership.KycRenewed(PUB_A, keccak256("again"), KYC_EXPIRES + 1);
        membership.renewKyc(PUB_A, keccak256("again"), KYC_EXPIRES + 1);
        assertEq(membership.member(PUB_A).kycExpires, KYC_EXPIRES + 1, "stored");
        assertEq(membership.member(PUB_A).kycReference, keccak256("again"), "stored");
    }

    function test_Events_OfAMembersOwnChanges() public {
        address before = membership.member(PUB_A).eventKey;
        vm.startPrank(accountOf(PUB_A));
        vm.expectEmit(address(membership));
        emit IMembership.EventKeyChanged(PUB_A, address(0xE1), before, START + 7 days);
        membership.changeEventKey(address(0xE1), 7 days);
        vm.expectEmit(address(membership));
        emit IMembership.PayoutChangeRequested(PUB_A, NEW, START + 2 days);
        membership.requestPayoutChange(NEW);
        vm.expectEmit(address(membership));
        emit IMembership.PayoutChangeCancelled(PUB_A, payoutOf(PUB_A));
        membership.cancelPayoutChange();
    }

    // ---------------------------------------------------------------- log

    function test_Events_OfTheLog() public {
        _grow(4);
        Checkpoint memory next = _checkpoint(4);
        Quorum memory quorum = _quorum(eventLog.checkpointDigest(next), 3);
        vm.expectEmit(address(eventLog));
        emit IEventLog.Anchored(4, next.rootHash, 1);
        eventLog.anchor(Checkpoint(0, 0), next, new bytes32[](0), quorum);
        assertEq(eventLog.anchorCount(), 1, "count");
    }

    function test_Events_OfAttestorSets() public {
        vm.expectEmit(address(eventLog));
        emit IAttestorSets.AttestorSetNamed(2, 1, 4, attestors);
        eventLog.createAttestorSet(attestors, 4);
        address[] memory others = _newAttestors("other", 3);
        bytes32 digest = eventLog.successorDigest(attestorSet, 2, others, 2);
        Quorum memory quorum = _quorum(digest, 3);
        vm.expectEmit(address(eventLog));
        emit IAttestorSets.AttestorSetNamed(attestorSet, 2, 2, others);
        eventLog.nameSuccessor(attestorSet, others, 2, quorum);
    }

    // ---------------------------------------------------------------- bond

    function test_Events_OfTheBond() public {
        dollar.mint(address(this), 5);
        dollar.approve(address(bond), 5);
        vm.expectEmit(address(bond));
        emit IOperatorBond.Deposited(address(this), 5, BOND + 5);
        bond.deposit(5);
        vm.startPrank(accountOf(OPERATOR));
        vm.expectEmit(address(bond));
        emit IOperatorBond.WithdrawalRequested(7, START + 45 days);
        bond.requestWithdrawal(7);
        vm.warp(START + 45 days);
        vm.expectEmit(address(bond));
        emit IOperatorBond.Withdrawn(payoutOf(OPERATOR), 7, BOND - 2);
        bond.withdraw();
        vm.stopPrank();
    }
}

/// @notice A campaign in a token of 18 decimals, with amounts over 64 and counts over 32 bits.
contract EscrowEventsTest is BondWorld {
    uint128 internal constant TOKEN = 1e18;
    uint128 internal constant FUNDED = 2_000_000 * TOKEN;
    uint128 internal constant WIDE_CAP = 1_000_000 * TOKEN;
    uint16 internal constant HOLDBACK = 1000;
    uint32 internal constant CORRECTIONS = 2 days;

    uint32 internal id;
    Counts internal a;
    Counts internal b;

    function setUp() public override {
        super.setUp();
        dollar = new MockDollar("DAIX", 18);
        a = Counts(10_000_000_000, 5_000_000_000, 6_000_000_000, 7_000_000_000);
        b = Counts(20_000_000_000, 8_000_000_000, 9_000_000_000, 8_500_000_000);
        _anchor(5);
    }

    function test_Events_OfOpeningAndOrders() public {
        Terms memory terms = _wideTerms();
        vm.expectEmit(address(escrow));
        emit ICampaignEscrow.CampaignOpened(1, ADVERTISER, terms);
        _open(terms);
        vm.startPrank(accountOf(ADVERTISER));
        vm.expectEmit(address(escrow));
        emit ICampaignEscrow.OrderOffered(1, PUB_A, _wideRates(), WIDE_CAP);
        escrow.offerOrder(1, PUB_A, _wideRates(), WIDE_CAP);
        vm.stopPrank();
        vm.expectEmit(address(escrow));
        emit ICampaignEscrow.OrderAccepted(1, PUB_A, _wideRates(), WIDE_CAP);
        vm.prank(accountOf(PUB_A));
        escrow.acceptOrder(1, _wideRates(), WIDE_CAP);

        ICampaignEscrow.Order memory order = escrow.order(1, PUB_A);
        assertEq(keccak256(abi.encode(order.rates)), keccak256(abi.encode(_wideRates())), "rates");
        assertEq(order.cap, WIDE_CAP, "cap");
        assertEq(keccak256(abi.encode(escrow.terms(1))), keccak256(abi.encode(terms)), "terms");
        assertEq(escrow.campaign(1).advertiser, ADVERTISER, "advertiser");

        vm.startPrank(accountOf(ADVERTISER));
        vm.expectEmit(address(escrow));
        emit ICampaignEscrow.OrderEnded(1, PUB_A, START + NOTICE);
        escrow.endOrder(1, PUB_A);
        vm.expectEmit(address(escrow));
        emit ICampaignEscrow.CampaignEnded(1, START + NOTICE);
        escrow.endCampaign(1);
        vm.stopPrank();
        uint64 closesAt = START + NOTICE + LATE + CORRECTIONS + GRACE;
        assertEq(escrow.campaign(1).closesAt, closesAt, "closesAt");
    }

    function test_Events_OfMoney() public {
        _begin();
        uint128 dueA = _wideAmount(a);
        uint128 total = dueA + _wideAmount(b);
        Statement memory statement = _wideStatement(1);
        Quorum memory quorum = _quorum(escrow.statementDigest(statement), THRESHOLD);
        vm.expectEmit(address(escrow));
        emit ICampaignEscrow.StatementSubmitted(id, 1, statement, START + DISPUTE);
        escrow.settle(statement, quorum);
        uint256 cuts = uint256(total) * 1000 / 10_000 + uint256(total) * 333 / 10_000;
        assertEq(escrow.campaign(id).reserved, total + cuts, "reserved");
        vm.warp(START + DISPUTE);

        uint128 released = dueA * 9 / 10;
        vm.expectEmit(address(escrow));
        emit ICampaignEscrow.Claimed(id, PUB_A, payoutOf(PUB_A), released, released);
        escrow.claim(id, _line(id, PUB_A, a, b));
        uint128 cut = total * 9 / 10 * 1000 / 10_000;
        vm.expectEmit(address(escrow));
        emit ICampaignEscrow.CutPaid(id, AGENCY, payoutOf(AGENCY), cut, cut);
        escrow.payCut(id, 0);
        assertEq(escrow.campaign(id).unbooked, released + cut, "unbooked");
        escrow.bookPayouts(id);
        assertEq(escrow.liabilities(address(dollar)), FUNDED - released - cut, "booked");

        vm.warp(escrow.campaign(id).closesAt);
        vm.expectEmit(address(escrow));
        emit ICampaignEscrow.Claimed(id, PUB_A, payoutOf(PUB_A), dueA - released, dueA);
        escrow.claim(id, _line(id, PUB_A, a, b));
        uint128 whole = total * 1000 / 10_000;
        vm.expectEmit(address(escrow));
        emit ICampaignEscrow.CutPaid(id, AGENCY, payoutOf(AGENCY), whole - cut, whole);
        escrow.payCut(id, 0);
        _refundAll(uint128(FUNDED - total - cuts));
    }

    function test_Events_OfASecondDepositAndSurplus() public {
        _begin();
        dollar.mint(NEWCOMER, 31 * TOKEN);
        vm.startPrank(NEWCOMER);
        dollar.approve(address(escrow), 30 * TOKEN);
        vm.expectEmit(address(escrow));
        emit ICampaignEscrow.Funded(id, NEWCOMER, 30 * TOKEN, FUNDED + 30 * TOKEN);
        escrow.fund(id, 30 * TOKEN);
        dollar.transfer(address(escrow), TOKEN);
        vm.stopPrank();
        vm.expectEmit(address(escrow));
        emit ICampaignEscrow.SurplusRecovered(address(dollar), NEWCOMER, TOKEN);
        escrow.recoverSurplus(address(dollar), NEWCOMER);
    }

    /// @dev What was refunded is part of what was funded.
    function test_Event_FundedAfterARefund() public {
        _begin();
        vm.warp(escrow.campaign(id).closesAt);
        _refundAll(FUNDED);
        dollar.mint(address(this), TOKEN);
        dollar.approve(address(escrow), TOKEN);
        vm.expectEmit(address(escrow));
        emit ICampaignEscrow.Funded(id, address(this), TOKEN, FUNDED + TOKEN);
        escrow.fund(id, TOKEN);
        assertEq(escrow.campaign(id).funded, FUNDED + TOKEN, "funded");
        assertEq(escrow.campaign(id).refunded, FUNDED, "refunded");
    }

    function test_Events_OfAnObjection() public {
        _begin();
        _settle(_wideStatement(1));
        address from = accountOf(ADVERTISER);
        dollar.mint(from, 40 * TOKEN);
        vm.startPrank(from);
        dollar.approve(address(escrow), 40 * TOKEN);
        vm.expectEmit(address(escrow));
        emit ICampaignEscrow.ObjectionRaised(id, 1, 40 * TOKEN, START + 2 * DISPUTE, "why");
        escrow.objectTo(id, 1, "why");
        vm.stopPrank();
        vm.warp(START + 2 * DISPUTE);
        Statement memory next = _wideStatement(2);
        next.corrections = 5_000_000_000;
        Quorum memory quorum = _quorum(escrow.statementDigest(next), THRESHOLD);
        vm.expectEmit(address(escrow));
        emit ICampaignEscrow.ObjectionDecided(id, 1, true);
        vm.expectEmit(address(escrow));
        emit ICampaignEscrow.StatementSubmitted(id, 2, next, START + 3 * DISPUTE);
        escrow.settle(next, quorum);
        assertEq(escrow.campaign(id).latest.corrections, 5_000_000_000, "corrections");
        vm.expectEmit(address(escrow));
        emit ICampaignEscrow.ObjectionBondReleased(id, payoutOf(ADVERTISER), 40 * TOKEN);
        assertEq(escrow.releaseObjectionBond(id), payoutOf(ADVERTISER), "to");
        assertEq(dollar.balanceOf(payoutOf(ADVERTISER)), 40 * TOKEN, "received");
        assertEq(escrow.liabilities(address(dollar)), FUNDED, "owed no more");
    }

    /// @dev A total may fall by a tenth, once and no further.
    function test_Floor_OfWideTotals() public {
        _begin();
        _settle(_wideStatement(1));
        vm.warp(START + DISPUTE);
        uint128 total = _wideAmount(a) + _wideAmount(b);
        Statement memory less = _wideStatement(2);
        less.linesTotal = total * 9 / 10;
        _settle(less);
        vm.warp(START + 2 * DISPUTE);
        less = _wideStatement(3);
        less.linesTotal = total * 9 / 10 - 1;
        Quorum memory quorum = _quorum(escrow.statementDigest(less), THRESHOLD);
        vm.expectRevert(
            abi.encodeWithSelector(
                ICampaignEscrow.LinesTotalFalls.selector, total * 9 / 10, less.linesTotal
            )
        );
        escrow.settle(less, quorum);
    }

    address internal constant NEWCOMER = address(0xBEEF);

    function _begin() internal {
        id = _open(_wideTerms());
        uint32[2] memory publishers = [PUB_A, PUB_B];
        for (uint256 i = 0; i < 2; ++i) {
            vm.prank(accountOf(ADVERTISER));
            escrow.offerOrder(id, publishers[i], _wideRates(), WIDE_CAP);
            vm.prank(accountOf(publishers[i]));
            escrow.acceptOrder(id, _wideRates(), WIDE_CAP);
        }
        _fund(id, FUNDED);
    }

    function _refundAll(uint128 amount) internal {
        vm.expectEmit(address(escrow));
        emit ICampaignEscrow.Refunded(id, payoutOf(ADVERTISER), amount, amount);
        vm.prank(accountOf(ADVERTISER));
        assertEq(escrow.refund(id), amount, "refund");
        assertEq(dollar.balanceOf(payoutOf(ADVERTISER)), amount, "received");
    }

    function _wideTerms() internal view returns (Terms memory terms) {
        terms = _terms();
        terms.correctionWindow = CORRECTIONS;
        terms.holdbackBasisPoints = HOLDBACK;
        terms.objectionBond = 40 * TOKEN;
        terms.goalCount = 5_000_000_000;
        terms.settleThreshold = 1000 * TOKEN;
    }

    function _wideRates() internal pure returns (Rates memory) {
        return Rates(uint80(TOKEN / 100), uint80(TOKEN / 300), uint80(TOKEN / 700_000), 36e12);
    }

    function _wideAmount(Counts memory counts) internal pure returns (uint128) {
        Rates memory rates = _wideRates();
        uint256 milli = uint256(counts.impressions) * rates.perMilleImpressions
            + uint256(counts.viewables) * rates.perMilleViewables + uint256(counts.clicks)
            * rates.perClick * 1000 + uint256(counts.conversions) * rates.perConversion * 1000;
        return uint128(milli / 1000);
    }

    function _wideStatement(uint32 sequence) internal view returns (Statement memory) {
        return Statement({
            campaign: id,
            sequence: sequence,
            treeSize: anchoredSize,
            linesTotal: _wideAmount(a) + _wideAmount(b),
            counts: Counts(30_000_000_000, 13_000_000_000, 15_000_000_000, 15_500_000_000),
            corrections: 0,
            linesRoot: _tree(id, a, b)[0],
            isFinal: false
        });
    }
}
