// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";

import {ICampaignEscrow} from "adtally/interfaces/ICampaignEscrow.sol";
import {ClaimLine, Counts, Quorum, Statement, Terms} from "adtally/types/DataTypes.sol";
import {
    BlocklistToken,
    FalseReturnToken,
    LyingReentrantToken,
    ReentrantToken
} from "../support/HostileTokens.sol";
import {ClaimTree} from "../support/ClaimTree.sol";
import {World} from "../support/World.sol";

/// @notice Claims, batches of claims, and cuts.
contract ClaimTest is World {
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

    // ---------------------------------------------------------------- claim

    function test_Claim_PaysCountsTimesRates() public {
        _activate(1);
        ClaimLine memory line = _line(id, PUB_A, a, b);
        // 1,001 impressions at 2 dollars per mille and 10 clicks at 0.25.
        assertEq(escrow.claimable(id, line), 2_002_000 + 2_500_000, "claimable");
        vm.prank(address(0xBEEF));
        assertEq(escrow.claim(id, line), 4_502_000, "amount");
        assertEq(dollar.balanceOf(payoutOf(PUB_A)), 4_502_000, "received");
        assertEq(escrow.order(id, PUB_A).paid, 4_502_000, "paid");
        assertEq(escrow.campaign(id).claimed, 4_502_000, "claimed");
        assertEq(escrow.liabilities(address(dollar)), 10_000 * DOLLAR, "not booked yet");
        assertEq(escrow.campaign(id).unbooked, 4_502_000, "unbooked");
        escrow.bookPayouts(id);
        assertEq(escrow.liabilities(address(dollar)), 10_000 * DOLLAR - 4_502_000, "liabilities");
        escrow.bookPayouts(id);
        assertEq(escrow.liabilities(address(dollar)), 10_000 * DOLLAR - 4_502_000, "once");
    }

    function test_Claim_AgainPaysNothing() public {
        _activate(1);
        ClaimLine memory line = _line(id, PUB_A, a, b);
        escrow.claim(id, line);
        assertEq(escrow.claimable(id, line), 0, "nothing due");
        assertEq(escrow.claim(id, line), 0, "amount");
        assertEq(dollar.balanceOf(payoutOf(PUB_A)), 4_502_000, "received once");
    }

    function test_Claim_IsCumulative() public {
        _activate(1);
        escrow.claim(id, _line(id, PUB_A, a, b));
        a = _counts(3001, 11);
        _activate(2);
        assertEq(escrow.claim(id, _line(id, PUB_A, a, b)), 4_250_000, "the difference");
        assertEq(escrow.claim(id, _line(id, PUB_B, a, b)), _amount(b), "B in one");
    }

    function test_Claim_EarlierLineWhileNextIsPending() public {
        _activate(1);
        ClaimLine memory old = _line(id, PUB_A, a, b);
        Counts memory more = _counts(3001, 11);
        _settle(_statement(id, 2, more, b));
        assertEq(escrow.claim(id, old), 4_502_000, "earlier");
        ClaimLine memory next = _line(id, PUB_A, more, b);
        vm.expectRevert(_notProven(PUB_A));
        escrow.claim(id, next);
        vm.warp(block.timestamp + DISPUTE);
        vm.expectRevert(_notProven(PUB_A));
        escrow.claim(id, old);
        assertEq(escrow.claim(id, next), 4_250_000, "next");
    }

    function test_Claim_SecondLineWhileThirdIsPending() public {
        _activate(1);
        Counts memory more = _counts(3001, 11);
        _settle(_statement(id, 2, more, b));
        vm.warp(block.timestamp + DISPUTE);
        _settle(_statement(id, 3, _counts(4001, 12), b));
        ClaimLine memory first = _line(id, PUB_A, a, b);
        vm.expectRevert(_notProven(PUB_A));
        escrow.claim(id, first);
        assertEq(escrow.claim(id, _line(id, PUB_A, more, b)), _amount(more), "second");
        assertEq(escrow.campaign(id).active.sequence, 2, "active");
    }

    function test_Claim_IsCappedByTheOrder() public {
        id = _open(_terms());
        _order(id, PUB_A, 1000);
        _order(id, PUB_B, CAP);
        _fund(id, 10_000 * DOLLAR);
        _activate(1);
        assertEq(escrow.claim(id, _line(id, PUB_A, a, b)), 1000, "cap");
        assertEq(escrow.claim(id, _line(id, PUB_A, a, b)), 0, "never more");
    }

    function test_Claim_SurvivesEverythingThatIsNotTheLine() public {
        _activate(1);
        escrow.pause();
        membership.setRoles(PUB_A, 0);
        membership.renewKyc(PUB_A, 0, 0);
        membership.setRoles(OPERATOR, 0);
        vm.startPrank(accountOf(ADVERTISER));
        escrow.endOrder(id, PUB_A);
        escrow.endCampaign(id);
        vm.stopPrank();
        vm.warp(FLIGHT_END + 1000 days);
        assertEq(escrow.claim(id, _line(id, PUB_A, a, b)), 4_502_000, "amount");
    }

    function test_RevertWhen_NoStatementIsActive() public {
        ClaimLine memory line = _line(id, PUB_A, a, b);
        bytes memory reason = abi.encodeWithSelector(ICampaignEscrow.NoActiveStatement.selector, id);
        vm.expectRevert(reason);
        escrow.claim(id, line);
        vm.expectRevert(reason);
        escrow.payCut(id, 0);
        _settle(_statement(id, 1, a, b));
        vm.expectRevert(reason);
        escrow.claim(id, line);
        assertEq(escrow.claimable(id, line), 0, "claimable");
        assertEq(escrow.cutPayable(id, 0), 0, "cutPayable");
        vm.expectRevert(reason);
        escrow.claimMany(id, 0, line.proof, new ClaimLine[](0));
        vm.expectRevert(abi.encodeWithSelector(ICampaignEscrow.CampaignUnknown.selector, 9));
        escrow.claim(9, line);
        assertEq(escrow.claimable(9, line), 0, "claimable of none");
    }

    function test_RevertWhen_LineIsNotInTheStatement() public {
        _activate(1);
        ClaimLine memory line = _line(id, PUB_A, a, b);
        line.counts.impressions += 1;
        _claimFails(line, _notProven(PUB_A));
        line = _line(id, PUB_A, a, b);
        line.publisher = PUB_B;
        _claimFails(line, _notProven(PUB_B));
        line = _line(id, PUB_A, a, b);
        line.proof = new bytes32[](0);
        _claimFails(line, _notProven(PUB_A));
    }

    /// @dev The same lines settled in two campaigns: a proof is good in its own only.
    function test_RevertWhen_LineIsAnotherCampaigns() public {
        uint32 other = _running();
        _activate(1);
        ClaimLine memory line = _line(id, PUB_A, a, b);
        _settle(_statement(other, 1, a, b));
        vm.warp(block.timestamp + DISPUTE);
        vm.expectRevert(
            abi.encodeWithSelector(ICampaignEscrow.LineNotProven.selector, other, PUB_A)
        );
        escrow.claim(other, line);
    }

    function test_RevertWhen_PublisherAcceptedNoOrder() public {
        id = _open(_terms());
        vm.prank(accountOf(ADVERTISER));
        escrow.offerOrder(id, PUB_A, _rates(), CAP);
        _fund(id, 10_000 * DOLLAR);
        _activate(1);
        ClaimLine memory line = _line(id, PUB_A, a, b);
        assertEq(escrow.claimable(id, line), 0, "claimable");
        _claimFails(
            line, abi.encodeWithSelector(ICampaignEscrow.OrderNotAccepted.selector, id, PUB_A)
        );
    }

    /// @dev A hostile quorum understates the sum: what the lines can take is bounded all the same.
    function test_RevertWhen_LinesExceedTheirTotal() public {
        Statement memory statement = _statement(id, 1, a, b);
        statement.linesTotal -= 1;
        _settle(statement);
        vm.warp(block.timestamp + DISPUTE);
        escrow.claim(id, _line(id, PUB_A, a, b));
        ClaimLine memory line = _line(id, PUB_B, a, b);
        assertEq(escrow.claimable(id, line), 0, "claimable");
        _claimFails(
            line,
            abi.encodeWithSelector(
                ICampaignEscrow.LinesExceedTotal.selector,
                statement.linesTotal + 1,
                statement.linesTotal
            )
        );
    }

    function test_RevertWhen_PayoutIsTheEscrow() public {
        _activate(1);
        vm.prank(accountOf(PUB_A));
        membership.requestPayoutChange(address(escrow));
        vm.warp(block.timestamp + 2 days);
        _claimFails(
            _line(id, PUB_A, a, b),
            abi.encodeWithSelector(ICampaignEscrow.PayoutIsEscrow.selector, PUB_A)
        );
    }

    function test_Claim_ReentrantTokenIsPaidOnce() public {
        ReentrantToken token = new ReentrantToken();
        dollar = token;
        _begin();
        _activate(1);
        ClaimLine memory line = _line(id, PUB_A, a, b);
        for (uint256 i = 0; i < 2; ++i) {
            token.arm(address(escrow), abi.encodeCall(escrow.claim, (id, line)), i == 0);
            escrow.claim(id, line);
        }
        assertEq(token.balanceOf(payoutOf(PUB_A)), 4_502_000, "once");
        assertEq(escrow.campaign(id).claimed, 4_502_000, "claimed");
    }

    // ---------------------------------------------------------------- claimMany

    function test_ClaimMany_PaysAll() public {
        _activate(1);
        ClaimLine[] memory lines = new ClaimLine[](2);
        lines[0] = _line(id, PUB_A, a, b);
        lines[1] = _line(id, PUB_B, a, b);
        vm.recordLogs();
        assertEq(_claimMany(id, lines), _amount(a) + _amount(b), "total");
        assertEq(vm.getRecordedLogs().length, 4, "two claims and two transfers");
        assertEq(dollar.balanceOf(payoutOf(PUB_B)), _amount(b), "B");
        assertEq(_claimMany(id, lines), 0, "nothing is left");
        assertEq(vm.getRecordedLogs().length, 0, "and nothing skipped");
    }

    function test_ClaimMany_SkipsWhatFails() public {
        BlocklistToken token = new BlocklistToken();
        dollar = token;
        _begin();
        _activate(1);
        token.setBlocked(payoutOf(PUB_A), true);
        ClaimLine[] memory lines = new ClaimLine[](3);
        lines[0] = _line(id, PUB_A, a, b);
        lines[1] = _line(id, PUB_B, b, a);
        lines[2] = _line(id, PUB_B, a, b);
        vm.expectEmit(address(escrow));
        emit ICampaignEscrow.ClaimSkipped(
            id, PUB_A, abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, token)
        );
        vm.expectEmit(address(escrow));
        emit ICampaignEscrow.ClaimSkipped(id, PUB_B, _notProven(PUB_B));
        assertEq(_claimMany(id, lines), _amount(b), "the rest");
        assertEq(escrow.order(id, PUB_A).paid, 0, "A unpaid");
        assertEq(_claimMany(id, lines), 0, "again, after B was paid");
        token.setBlocked(payoutOf(PUB_A), false);
        assertEq(escrow.claim(id, lines[0]), _amount(a), "A later");
    }

    /// @dev The root of four leaves; its left half is the tree of the two lines.
    function test_ClaimMany_ProofsEndAlike() public {
        bytes32[] memory above = new bytes32[](1);
        above[0] = keccak256("the other half");
        bytes32 node = _tree(id, a, b)[0];
        Statement memory statement = _statement(id, 1, a, b);
        statement.linesRoot = Hashes.commutativeKeccak256(node, above[0]);
        _settle(statement);
        vm.warp(block.timestamp + DISPUTE);
        ClaimLine[] memory lines = new ClaimLine[](2);
        lines[0] = _line(id, PUB_A, a, b);
        lines[1] = _line(id, PUB_B, a, b);

        assertEq(_claimMany(id, lines), 0, "halves of proofs prove nothing");
        bytes32 other = keccak256("another node");
        vm.expectRevert(abi.encodeWithSelector(ICampaignEscrow.NodeNotProven.selector, id, other));
        escrow.claimMany(id, other, above, lines);
        vm.expectRevert(abi.encodeWithSelector(ICampaignEscrow.NodeNotProven.selector, id, node));
        escrow.claimMany(id, node, new bytes32[](0), lines);
        assertEq(escrow.claimMany(id, node, above, lines), _amount(a) + _amount(b), "both");
    }

    /// @dev A token brings the next statement in between: what is left of the call is of the old.
    function test_ClaimMany_NextStatementInBetween() public {
        ReentrantToken token = new ReentrantToken();
        dollar = token;
        Terms memory terms = _terms();
        (terms.disputeWindow, terms.objectionBond) = (0, 0);
        id = _open(terms);
        _order(id, PUB_A, CAP);
        _order(id, PUB_B, CAP);
        _fund(id, 10_000 * DOLLAR);
        _settle(_statement(id, 1, a, b));
        ClaimLine[] memory lines = new ClaimLine[](2);
        lines[0] = _line(id, PUB_A, a, b);
        lines[1] = _line(id, PUB_B, a, b);
        Statement memory next = _statement(id, 2, _counts(3001, 11), b);
        Quorum memory quorum = _quorum(escrow.statementDigest(next), THRESHOLD);
        token.arm(address(escrow), abi.encodeCall(escrow.settle, (next, quorum)), true);
        vm.expectEmit(address(escrow));
        emit ICampaignEscrow.ClaimSkipped(id, PUB_B, _notProven(PUB_B));
        assertEq(_claimMany(id, lines), _amount(a), "the first line");
        assertTrue(token.hasReentered(), "settled");
        lines[0] = _line(id, PUB_A, _counts(3001, 11), b);
        lines[1] = _line(id, PUB_B, _counts(3001, 11), b);
        assertEq(
            _claimMany(id, lines), _amount(_counts(3001, 11)) - _amount(a) + _amount(b), "the rest"
        );
    }

    function test_ClaimMany_FalseReturnIsSkipped() public {
        FalseReturnToken token = new FalseReturnToken();
        dollar = token;
        _begin();
        _activate(1);
        token.setFailing(true);
        ClaimLine[] memory lines = new ClaimLine[](1);
        lines[0] = _line(id, PUB_A, a, b);
        assertEq(_claimMany(id, lines), 0, "nothing");
        assertEq(escrow.campaign(id).claimed, 0, "unpaid");
    }

    /// @dev The token has the payout booked, then undone: the token's total follows.
    function test_ClaimMany_UndoneAfterItWasBooked() public {
        LyingReentrantToken token = new LyingReentrantToken();
        dollar = token;
        _begin();
        _activate(1);
        token.arm(address(escrow), abi.encodeCall(escrow.bookPayouts, (id)));
        ClaimLine[] memory lines = new ClaimLine[](1);
        lines[0] = _line(id, PUB_A, a, b);
        assertEq(_claimMany(id, lines), 0, "skipped");
        assertEq(escrow.liabilities(address(token)), 10_000 * DOLLAR, "nothing left");
        assertEq(escrow.campaign(id).unbooked, 0, "nothing to book");
        assertEq(escrow.claim(id, lines[0]), _amount(a), "later");
        escrow.bookPayouts(id);
        uint256 left = 10_000 * DOLLAR - _amount(a);
        assertEq(escrow.liabilities(address(token)), left, "booked");

        uint128 cut = escrow.payCut(id, 0);
        token.arm(address(escrow), abi.encodeCall(escrow.bookPayouts, (id)));
        lines[0] = _line(id, PUB_B, a, b);
        assertEq(_claimMany(id, lines), 0, "skipped");
        assertEq(escrow.liabilities(address(token)), left - cut, "only the cut is booked");
        assertEq(escrow.campaign(id).unbooked, 0, "nothing to book");
    }

    // ---------------------------------------------------------------- cuts

    function test_PayCut_FlooredAndCumulative() public {
        _activate(1);
        uint256 total = _amount(a) + _amount(b);
        assertEq(escrow.cutPayable(id, 0), total * 1000 / 10_000, "agency due");
        assertEq(escrow.payCut(id, 0), total * 1000 / 10_000, "agency");
        assertEq(escrow.payCut(id, 1), total * 333 / 10_000, "platform");
        vm.recordLogs();
        assertEq(escrow.payCut(id, 0), 0, "once");
        assertEq(vm.getRecordedLogs().length, 0, "in silence");
        assertEq(dollar.balanceOf(payoutOf(AGENCY)), total * 1000 / 10_000, "received");

        a = _counts(3001, 11);
        _activate(2);
        uint256 more = _amount(a) + _amount(b);
        assertEq(escrow.payCut(id, 1), more * 333 / 10_000 - total * 333 / 10_000, "the difference");
        assertEq(
            escrow.campaign(id).cutsPaid, total * 1000 / 10_000 + more * 333 / 10_000, "cutsPaid"
        );
    }

    function test_PayCut_SurvivesKycAndPause() public {
        _activate(1);
        escrow.pause();
        membership.renewKyc(AGENCY, 0, 0);
        assertGe(escrow.payCut(id, 0), 1, "paid");
    }

    function test_RevertWhen_CutUnknown() public {
        _activate(1);
        for (uint256 index = 2; index < 6; ++index) {
            vm.expectRevert(abi.encodeWithSelector(ICampaignEscrow.CutUnknown.selector, id, index));
            escrow.payCut(id, index);
            assertEq(escrow.cutPayable(id, index), 0, "nothing payable");
        }
        vm.expectRevert(abi.encodeWithSelector(ICampaignEscrow.CampaignUnknown.selector, 9));
        escrow.payCut(9, 0);
    }

    function test_RevertWhen_CutPayoutIsTheEscrow() public {
        vm.prank(accountOf(AGENCY));
        membership.requestPayoutChange(address(escrow));
        vm.warp(block.timestamp + 2 days);
        _activate(1);
        vm.expectRevert(abi.encodeWithSelector(ICampaignEscrow.PayoutIsEscrow.selector, AGENCY));
        escrow.payCut(id, 0);
    }

    // ---------------------------------------------------------------- helpers

    function _begin() internal {
        id = _running();
    }

    function _activate(uint32 sequence) internal {
        _settle(_statement(id, sequence, a, b));
        vm.warp(block.timestamp + DISPUTE);
    }

    function _notProven(uint32 publisher) internal view returns (bytes memory) {
        return abi.encodeWithSelector(ICampaignEscrow.LineNotProven.selector, id, publisher);
    }

    function _claimFails(ClaimLine memory line, bytes memory reason) internal {
        vm.expectRevert(reason);
        escrow.claim(id, line);
    }
}
