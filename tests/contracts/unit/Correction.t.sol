// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {ICampaignEscrow} from "adtally/interfaces/ICampaignEscrow.sol";
import {ClaimLine, Counts, Cut, Statement, Terms} from "adtally/types/DataTypes.sol";
import {World} from "../support/World.sol";

/// @notice Holdback and corrections: what is kept back until the campaign closes, and how far a
/// statement's total may fall until then.
contract CorrectionTest is World {
    uint16 internal constant HOLDBACK = 1000;
    uint32 internal constant CORRECTION = 5 days;
    uint256 internal constant CLOSES = FLIGHT_END + LATE + CORRECTION + GRACE;

    uint32 internal id;
    Counts internal a;
    Counts internal b;

    function setUp() public override {
        super.setUp();
        Terms memory terms = _terms();
        terms.holdbackBasisPoints = HOLDBACK;
        terms.correctionWindow = CORRECTION;
        id = _open(terms);
        _order(id, PUB_A, CAP);
        _order(id, PUB_B, CAP);
        _fund(id, 10_000 * DOLLAR);
        a = _counts(10_001, 10);
        b = _counts(20_003, 3);
        _anchor(5);
    }

    // ---------------------------------------------------------------- holdback

    function test_Claim_LessTheHoldbackUntilClosing() public {
        _activate(_statement(id, 1, a, b));
        uint256 whole = _amount(a);
        uint256 part = whole * 9000 / 10_000;
        assertEq(escrow.claimable(id, _line(id, PUB_A, a, b)), part, "claimable");
        assertEq(escrow.claim(id, _line(id, PUB_A, a, b)), part, "nine tenths, floored");
        assertEq(escrow.claim(id, _line(id, PUB_A, a, b)), 0, "once");
        vm.warp(CLOSES - 1);
        assertEq(escrow.claim(id, _line(id, PUB_A, a, b)), 0, "still open");
        vm.warp(CLOSES);
        assertEq(escrow.claim(id, _line(id, PUB_A, a, b)), whole - part, "the rest");
        assertEq(escrow.order(id, PUB_A).paid, whole, "to the unit");
    }

    function test_Claim_WholeOnceTheFinalStatementIsActive() public {
        _activate(_statement(id, 1, a, b));
        escrow.claim(id, _line(id, PUB_A, a, b));
        vm.warp(FLIGHT_END + LATE + CORRECTION);
        Statement memory last = _statement(id, 2, a, b);
        last.isFinal = true;
        _settle(last);
        assertEq(escrow.claim(id, _line(id, PUB_A, a, b)), 0, "pending");
        assertEq(escrow.campaign(id).closesAt, block.timestamp + DISPUTE, "closes");
        vm.warp(block.timestamp + DISPUTE);
        escrow.claim(id, _line(id, PUB_A, a, b));
        escrow.claim(id, _line(id, PUB_B, a, b));
        assertEq(escrow.campaign(id).claimed, _amount(a) + _amount(b), "all");
    }

    function test_PayCut_LessTheHoldbackUntilClosing() public {
        _activate(_statement(id, 1, a, b));
        uint256 total = _amount(a) + _amount(b);
        uint256 released = total * 9000 / 10_000;
        assertEq(escrow.cutPayable(id, 0), released * 1000 / 10_000, "payable");
        assertEq(escrow.payCut(id, 0), released * 1000 / 10_000, "of the released part");
        vm.warp(CLOSES);
        escrow.payCut(id, 0);
        assertEq(escrow.campaign(id).cutsPaid, total * 1000 / 10_000, "of all");
    }

    /// @dev What a cut was paid on a higher total is kept; nothing more is due, and nothing reverts.
    function test_PayCut_AfterAFall() public {
        _activate(_statement(id, 1, a, b));
        uint256 paid = escrow.payCut(id, 0);
        Statement memory lower = _corrected(2, a, b, 1);
        lower.linesTotal = lower.linesTotal * 95 / 100;
        _activate(lower);
        assertEq(escrow.cutPayable(id, 0), 0, "payable");
        assertEq(escrow.payCut(id, 0), 0, "nothing");
        assertEq(escrow.campaign(id).cutsPaid, paid, "kept");
    }

    /// @dev Lines that exceed their own total are not paid by a pending one that is higher.
    function test_Claim_StaysWithinTheActiveTotal() public {
        Statement memory wrong = _statement(id, 1, a, b);
        wrong.linesTotal = uint128(_amount(a) * 9000 / 10_000) - 1;
        _activate(wrong);
        _settle(_statement(id, 2, a, b));
        ClaimLine memory line = _line(id, PUB_A, a, b);
        vm.expectRevert(
            abi.encodeWithSelector(
                ICampaignEscrow.LinesExceedTotal.selector, wrong.linesTotal + 1, wrong.linesTotal
            )
        );
        escrow.claim(id, line);
    }

    function test_RevertWhen_FinalBeforeTheCorrectionWindowEnds() public {
        Statement memory last = _statement(id, 1, a, b);
        last.isFinal = true;
        uint256 earliest = FLIGHT_END + LATE + CORRECTION;
        vm.warp(earliest - 1);
        _settleReverts(
            last,
            abi.encodeWithSelector(ICampaignEscrow.FinalTooEarly.selector, earliest - 1, earliest)
        );
        vm.warp(earliest);
        _settle(last);
    }

    function test_EndCampaign_MovesTheClosing() public {
        assertEq(escrow.campaign(id).closesAt, CLOSES, "as opened");
        vm.prank(accountOf(ADVERTISER));
        escrow.endCampaign(id);
        assertEq(
            escrow.campaign(id).closesAt, START + NOTICE + LATE + CORRECTION + GRACE, "earlier"
        );
    }

    // ---------------------------------------------------------------- corrections

    function test_Settle_TotalMayFallByTheHoldback() public {
        _activate(_statement(id, 1, a, b));
        escrow.claim(id, _line(id, PUB_A, a, b));
        uint256 floor = (_amount(a) + _amount(b)) * 9000 / 10_000;
        // The whole of what is held back, taken from both lines alike.
        Counts memory lessA = _counts(9001, 9);
        Counts memory lessB = _counts(18_003, 2);
        Statement memory lower = _corrected(2, lessA, lessB, 5);
        lower.linesTotal = uint128(floor - 1);
        _settleReverts(lower, _falls(floor, floor - 1));
        lower.linesTotal = uint128(floor);
        _activate(lower);
        assertEq(escrow.campaign(id).active.linesTotal, floor, "fallen");
        assertEq(escrow.campaign(id).active.corrections, 5, "corrections");
        assertEq(escrow.claim(id, _line(id, PUB_A, lessA, lessB)), 0, "was paid more than that");
    }

    /// @dev Falls don't compound: what one statement released, no later one takes back.
    function test_RevertWhen_FallsCompound() public {
        uint256 total = _amount(a) + _amount(b);
        _activate(_statement(id, 1, a, b));
        uint256 floor = total * 9000 / 10_000;
        Statement memory lower = _corrected(2, a, b, 1);
        lower.linesTotal = uint128(floor + 7);
        _activate(lower);
        lower = _corrected(3, a, b, 2);
        lower.linesTotal = uint128(floor - 1);
        _settleReverts(lower, _falls(floor, floor - 1));
        lower.linesTotal = uint128(floor);
        _activate(lower);
        // Up and down again: the floor has risen with what was released in between.
        Statement memory higher = _corrected(4, a, b, 2);
        higher.linesTotal = uint128(total + 1000);
        _activate(higher);
        uint256 next = (total + 1000) * 9000 / 10_000;
        lower = _corrected(5, a, b, 3);
        lower.linesTotal = uint128(next - 1);
        _settleReverts(lower, _falls(next, next - 1));
        lower.linesTotal = uint128(next);
        _settle(lower);
    }

    /// @dev Colluding attestors signed lines that exceed their total; claims took all of it.
    function test_RevertWhen_TotalFallsBelowWhatWasClaimed() public {
        Statement memory wrong = _statement(id, 1, a, b);
        wrong.linesTotal = uint128(_amount(a) * 9000 / 10_000);
        _activate(wrong);
        escrow.claim(id, _line(id, PUB_A, a, b));
        assertEq(escrow.campaign(id).claimed, wrong.linesTotal, "all of it");
        Statement memory lower = _corrected(2, a, b, 1);
        lower.linesTotal = wrong.linesTotal - 1;
        _settleReverts(lower, _falls(wrong.linesTotal, lower.linesTotal));
    }

    function test_RevertWhen_TotalFallsTooLate() public {
        _activate(_statement(id, 1, a, b));
        uint256 last = CLOSES - 2 * DISPUTE;
        Statement memory lower = _corrected(2, a, b, 1);
        lower.linesTotal -= 1;
        vm.warp(last);
        _settleReverts(
            lower, abi.encodeWithSelector(ICampaignEscrow.FallTooLate.selector, last, last)
        );
        vm.warp(last + 1);
        _settleReverts(
            lower, abi.encodeWithSelector(ICampaignEscrow.FallTooLate.selector, last + 1, last)
        );
        vm.warp(last - 1);
        _settle(lower);
    }

    /// @dev Without a window a total could fall in the very second in which cuts are whole: what a
    /// cut was paid on the higher total would be missing, and another campaign's money would pay.
    function test_RevertWhen_TotalFallsInTheSecondOfClosing() public {
        Terms memory terms = _terms();
        (terms.disputeWindow, terms.objectionBond) = (0, 0);
        terms.holdbackBasisPoints = 5000;
        terms.cuts = new Cut[](1);
        terms.cuts[0] = Cut(AGENCY, 10_000);
        id = _open(terms);
        _order(id, PUB_A, CAP);
        _order(id, PUB_B, CAP);
        _fund(id, 10_000 * DOLLAR);
        _settle(_statement(id, 1, _counts(0, 20_000), _counts(0, 0)));
        uint256 closes = FLIGHT_END + LATE + GRACE;
        vm.warp(closes);
        assertEq(escrow.payCut(id, 0), 5000 * DOLLAR, "the whole cut");
        _settleReverts(
            _corrected(2, _counts(0, 10_000), _counts(0, 0), 1),
            abi.encodeWithSelector(ICampaignEscrow.FallTooLate.selector, closes, closes)
        );
    }

    function test_RevertWhen_CorrectionsFall() public {
        _activate(_corrected(1, a, b, 5));
        _settleReverts(
            _corrected(2, a, b, 4),
            abi.encodeWithSelector(ICampaignEscrow.CorrectionsFall.selector, 5, 4)
        );
        vm.expectRevert();
        this.settleMax();
        _settle(_corrected(2, a, b, 5));
    }

    /// @dev More corrections than the place for them takes.
    function settleMax() external {
        _settle(_corrected(2, a, b, type(uint64).max));
    }

    /// @dev While a lower statement is pending, the earlier one pays no more than that reserves.
    function test_Claim_StaysWithinAPendingLowerTotal() public {
        // Lines that add up to more than their total: only colluders sign that.
        Statement memory wrong = _statement(id, 1, a, b);
        wrong.linesTotal = uint128(_amount(a) + 100);
        _activate(wrong);
        escrow.claim(id, _line(id, PUB_A, a, b));
        uint256 floor = uint256(wrong.linesTotal) * 9000 / 10_000;
        Statement memory lower = _corrected(2, a, b, 1);
        lower.linesTotal = uint128(floor);
        _settle(lower);
        ClaimLine memory line = _line(id, PUB_B, a, b);
        uint256 claimed = escrow.campaign(id).claimed + _amount(b) * 9000 / 10_000;
        vm.expectRevert(
            abi.encodeWithSelector(ICampaignEscrow.LinesExceedTotal.selector, claimed, floor)
        );
        escrow.claim(id, line);
        assertEq(escrow.claimable(id, line), 0, "claimable");
    }

    /// @dev A correction leaves the advertiser more, and only what it took from the lines.
    function test_Refund_AfterACorrectionIsExact() public {
        _activate(_statement(id, 1, a, b));
        escrow.claim(id, _line(id, PUB_A, a, b));
        escrow.payCut(id, 0);
        Counts memory lessA = _counts(9501, 10);
        vm.warp(FLIGHT_END + LATE + CORRECTION);
        Statement memory last = _corrected(2, lessA, b, 500);
        last.isFinal = true;
        _activate(last);
        vm.prank(accountOf(ADVERTISER));
        escrow.refund(id);
        escrow.claim(id, _line(id, PUB_A, lessA, b));
        escrow.claim(id, _line(id, PUB_B, lessA, b));
        escrow.payCut(id, 0);
        escrow.payCut(id, 1);
        escrow.bookPayouts(id);
        assertEq(escrow.campaign(id).claimed, _amount(lessA) + _amount(b), "lines");
        assertEq(dollar.balanceOf(address(escrow)), 0, "empty to the unit");
        assertEq(escrow.liabilities(address(dollar)), 0, "no liabilities");
    }

    /// @dev Without a holdback nothing was promised to be correctable.
    function test_RevertWhen_TotalFallsWithoutHoldback() public {
        id = _running();
        _activate(_statement(id, 1, a, b));
        Statement memory lower = _corrected(2, a, b, 1);
        lower.linesTotal -= 1;
        _settleReverts(lower, _falls(_amount(a) + _amount(b), lower.linesTotal));
    }

    // ---------------------------------------------------------------- helpers

    function _corrected(
        uint32 sequence,
        Counts memory counts,
        Counts memory other,
        uint64 corrections
    ) internal view returns (Statement memory statement) {
        statement = _statement(id, sequence, counts, other);
        statement.corrections = corrections;
    }

    function _activate(Statement memory statement) internal {
        _settle(statement);
        vm.warp(block.timestamp + DISPUTE);
    }

    function _falls(uint256 lowest, uint256 found) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(ICampaignEscrow.LinesTotalFalls.selector, lowest, found);
    }
}
